// One level of the dyadic pyramid of low bands, for any arithmetic; and the whole pyramid of
// models/transform/packet.py in floats.
//
// An arithmetic has lift(to, left, right, count, step, undo), one of the four lifting steps on `count` samples, and
// settle(values, count), what is done to samples before they are lifted. A level is worked on as 2h rows, low and high
// along y in turns, each of a half of w samples low along x and one of w high ones.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera {

// The steps between two halves of a sequence: low(i) and high(i), i < pairs, point to `count` samples each.
template <typename Arithmetic, typename Low, typename High>
void lift_halves(const Arithmetic& with, const Low& low, const High& high, size_t pairs, size_t count, bool undo) {
    for (int k = 0; k < 4; ++k) {
        const int step = undo ? 3 - k : k;
        for (size_t i = 0; i < pairs; ++i) {
            if (step % 2 == 0) {
                with.lift(high(i), low(i), low(std::min(i + 1, pairs - 1)), count, step, undo);
            } else {
                with.lift(low(i), high(i), high(i > 0 ? i - 1 : 0), count, step, undo);
            }
        }
    }
}

// The same along a row whose halves lie one after the other.
template <typename Arithmetic, typename T>
void lift_row(const Arithmetic& with, T* low, T* high, size_t pairs, bool undo) {
    const size_t last = pairs - 1;
    for (int k = 0; k < 4; ++k) {
        const int step = undo ? 3 - k : k;
        if (step % 2 == 0) {
            with.lift(high, low, low + 1, last, step, undo);
            with.lift(high + last, low + last, low + last, 1, step, undo);
        } else {
            with.lift(low, high, high, 1, step, undo);
            with.lift(low + 1, high + 1, high, last, step, undo);
        }
    }
}

// The rows of a level -> its plane (height, width); they are scratch afterwards.
template <typename Arithmetic, typename T>
void merge_rows(const Arithmetic& with, T* rows, size_t height, size_t width, T* plane) {
    const size_t h = (height + 1) / 2, w = (width + 1) / 2;
    with.settle(rows, 4 * h * w);
    lift_halves(
        with, [&](size_t y) { return rows + 4 * y * w; }, [&](size_t y) { return rows + (4 * y + 2) * w; }, h, 2 * w,
        true);
    with.settle(rows, height * 2 * w);
    for (size_t y = 0; y < height; ++y) {
        T* row = rows + y * 2 * w;
        lift_row(with, row, row + w, w, true);
        for (size_t x = 0; x < width; ++x) plane[y * width + x] = row[x / 2 + x % 2 * w];
    }
}

// A level of symbols (9, h, w), three bands an axis, as `packet.pyramid` has them, and what each is times.
struct Details {
    const int32_t* symbols;
    const float* scales;  // (9,)
};

// `packet.unpyramid` of three axes: details from the finest level on, low (3, ., .) of the coarsest.
std::vector<float> unpyramid(const std::vector<Details>& details, const float* low, size_t height, size_t width);

}  // namespace tessera
