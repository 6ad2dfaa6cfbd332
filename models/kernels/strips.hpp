// How the transform lies in memory between rows and columns.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "kernels.hpp"
#include "memory.hpp"

namespace tessera {

// In a row's phases and in a column's rows alike, bit l of the place is the half that level l put the sample in; a
// band's number has two bits per level, first level first, vertical before horizontal.
inline size_t band_of(size_t vertical, size_t horizontal) {
    size_t band = 0;
    for (size_t level = 0; level < 3; ++level) {
        band = band << 2 | (vertical >> level & 1) << 1 | (horizontal >> level & 1);
    }
    return band;
}

struct Strip {
    size_t axis, phase, first, count;  // columns first .. first + count - 1 of one phase
};

inline std::vector<Strip> strips_of(size_t columns) {
    std::vector<Strip> strips;
    for (size_t axis = 0; axis < 3; ++axis) {
        for (size_t phase = 0; phase < 8; ++phase) {
            for (size_t first = 0; first < columns; first += kLanes) {
                strips.push_back({axis, phase, first, std::min(kLanes, columns - first)});
            }
        }
    }
    return strips;
}

// Rows of phases of the three axes: (3, 8 * rows, pitch). The pitch keeps rows from sharing one set of the cache.
struct Middle {
    Middle(size_t rows, size_t columns)
        : lines(8 * rows), pitch(8 * columns + kLanes), data(3 * lines * pitch) {}
    int32_t* line(size_t axis, size_t y) const { return data.get() + (axis * lines + y) * pitch; }
    int32_t* strip(const Strip& at, size_t columns) const { return line(at.axis, 0) + at.phase * columns + at.first; }
    size_t lines, pitch;
    Buffer<int32_t> data;
};

constexpr size_t kSmallestRows = 64;    // fewer rows are not worth a thread
constexpr size_t kSmallestStrips = 24;  // fewer strips are not worth a thread

}  // namespace tessera
