// One level of the dyadic pyramid of low bands. It works on 2h rows, low and high along y in turns. Each row holds a
// half of w samples low along x and one of w high ones.
#include <algorithm>

#include "exact.hpp"
#include "exact_loops.hpp"
#include "memory.hpp"

namespace tessera {
namespace {

int32_t taken(int32_t v) { return std::clamp(v, -kBandLimit, kBandLimit); }

// What is done to samples before they are lifted.
void settle(int32_t* values, size_t count) {
    for (size_t i = 0; i < count; ++i) values[i] = taken(values[i]);
}

// The steps between two halves of a sequence: low(i) and high(i), i < pairs, point to `count` samples each.
template <typename Low, typename High>
void lift_halves(const ExactLoops& loops, const Low& low, const High& high, size_t pairs, size_t count, bool undo) {
    for (int k = 0; k < 4; ++k) {
        const int step = undo ? 3 - k : k;
        for (size_t i = 0; i < pairs; ++i) {
            if (step % 2 == 0) {
                loops.lift(high(i), low(i), low(std::min(i + 1, pairs - 1)), count, step, undo);
            } else {
                loops.lift(low(i), high(i), high(i > 0 ? i - 1 : 0), count, step, undo);
            }
        }
    }
}

// The same along a row whose halves lie one after the other.
void lift_row(const ExactLoops& loops, int32_t* low, int32_t* high, size_t pairs, bool undo) {
    const size_t last = pairs - 1;
    for (int k = 0; k < 4; ++k) {
        const int step = undo ? 3 - k : k;
        if (step % 2 == 0) {
            loops.lift(high, low, low + 1, last, step, undo);
            loops.lift(high + last, low + last, low + last, 1, step, undo);
        } else {
            loops.lift(low, high, high, 1, step, undo);
            loops.lift(low + 1, high + 1, high, last, step, undo);
        }
    }
}

}  // namespace

void exact_split(const int32_t* plane, size_t height, size_t width, int32_t* low, int32_t* details,
                 const Kernels& kernels) {
    const size_t h = (height + 1) / 2, w = (width + 1) / 2;
    const Buffer<int32_t> buffer(4 * h * w);
    const auto row = [&](size_t y) { return buffer.get() + y * 2 * w; };
    for (size_t y = 0; y < height; ++y) {
        const int32_t* from = plane + y * width;
        for (size_t x = 0; x < w; ++x) {
            row(y)[x] = taken(from[2 * x]);
            row(y)[w + x] = taken(from[std::min(2 * x + 1, width - 1)]);
        }
        lift_row(kernels.exact, row(y), row(y) + w, w, false);
    }
    if (height % 2 == 1) std::copy_n(row(height - 1), 2 * w, row(height));
    settle(buffer.get(), 4 * h * w);
    lift_halves(
        kernels.exact, [&](size_t y) { return row(2 * y); }, [&](size_t y) { return row(2 * y + 1); }, h, 2 * w,
        false);
    for (size_t y = 0; y < h; ++y) {
        std::copy_n(row(2 * y), w, low + y * w);
        std::copy_n(row(2 * y) + w, w, details + y * w);
        std::copy_n(row(2 * y + 1), w, details + (h + y) * w);
        std::copy_n(row(2 * y + 1) + w, w, details + (2 * h + y) * w);
    }
}

void exact_merge(const int32_t* low, const int32_t* details, size_t height, size_t width, int32_t* plane,
                 const Kernels& kernels) {
    const size_t h = (height + 1) / 2, w = (width + 1) / 2;
    const Buffer<int32_t> buffer(4 * h * w);
    const auto row = [&](size_t y) { return buffer.get() + y * 2 * w; };
    for (size_t y = 0; y < h; ++y) {
        std::copy_n(low + y * w, w, row(2 * y));
        std::copy_n(details + y * w, w, row(2 * y) + w);
        std::copy_n(details + (h + y) * w, w, row(2 * y + 1));
        std::copy_n(details + (2 * h + y) * w, w, row(2 * y + 1) + w);
    }
    settle(buffer.get(), 4 * h * w);
    lift_halves(
        kernels.exact, [&](size_t y) { return row(2 * y); }, [&](size_t y) { return row(2 * y + 1); }, h, 2 * w,
        true);
    settle(buffer.get(), height * 2 * w);
    for (size_t y = 0; y < height; ++y) {
        lift_row(kernels.exact, row(y), row(y) + w, w, true);
        for (size_t x = 0; x < width; ++x) plane[y * width + x] = row(y)[x / 2 + x % 2 * w];
    }
}

}  // namespace tessera
