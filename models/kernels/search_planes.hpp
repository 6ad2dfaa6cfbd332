// What motion search compares: planes with repeated edges, at half sizes and between samples.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels.hpp"
#include "memory.hpp"
#include "motion_loops.hpp"

namespace tessera {

// A plane whose edge samples are repeated outside.
class Plane {
public:
    Plane(size_t height, size_t width);
    size_t height() const { return height_; }
    size_t width() const { return width_; }
    size_t pitch() const { return pitch_; }
    size_t lines() const { return height_ + 2 * kPad; }
    int16_t* line(size_t y) const { return data_.get() + y * pitch_; }  // the first one is kPad above the plane

    // A window that starts at (y, x), wherever that is.
    Samples window(ptrdiff_t y, ptrdiff_t x, size_t rows, size_t columns) const;
    void repeat_edges();

    static constexpr size_t kPad = 48;

private:
    size_t height_, width_, pitch_;
    Buffer<int16_t> data_;
};

// samples (height, width), and a plane at half the size by means of four.
void fill(Plane& plane, const int16_t* samples);
void halve(const Plane& from, Plane& to);

// A plane at every quarter sample.
class Phases {
public:
    Phases(const int16_t* samples, size_t height, size_t width, size_t threads, const Kernels& kernels);

    // The window at (y, x) displaced by (dy, dx) quarter samples.
    Samples window(int dy, int dx, ptrdiff_t y, ptrdiff_t x, size_t rows, size_t columns) const {
        return planes_[static_cast<size_t>((dy & 3) * 4 + (dx & 3))].window(y + (dy >> 2), x + (dx >> 2), rows,
                                                                            columns);
    }

private:
    std::array<Plane, 16> planes_;  // dy, dx
};

}  // namespace tessera
