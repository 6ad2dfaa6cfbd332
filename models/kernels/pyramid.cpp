// One level of the dyadic pyramid of low bands. It works on pairs of rows, low and high along y. Each row holds a half
// of w samples low along x and one of w high ones.
#include <algorithm>

#include "exact.hpp"
#include "exact_loops.hpp"
#include "memory.hpp"

namespace tessera {
namespace {

int32_t taken(int32_t v) { return std::clamp(v, -kBandLimit, kBandLimit); }

// The steps between the halves of a row, which lie one after the other.
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

// The rows go through the four steps in one sweep, each step a row behind the one before, so that all stays near.
void exact_split(const int32_t* plane, size_t height, size_t width, int32_t* low, int32_t* details,
                 const Kernels& kernels) {
    constexpr size_t kNear = 4;  // pairs of rows
    const size_t h = (height + 1) / 2, w = (width + 1) / 2;
    const ExactLoops& loops = kernels.exact;
    const Buffer<int32_t> buffer(2 * kNear * 2 * w);
    const auto even = [&](size_t pair) { return buffer.get() + pair % kNear * 4 * w; };
    const auto odd = [&](size_t pair) { return even(pair) + 2 * w; };
    const auto take = [&](const int32_t* from, int32_t* row) {
        loops.part(from, width / 2, row, row + w);
        if (width % 2 == 1) row[w - 1] = row[2 * w - 1] = taken(from[width - 1]);
        lift_row(loops, row, row + w, w, false);
        loops.settle(row, 2 * w, row);
    };
    const auto show = [&](size_t y) {
        std::copy_n(even(y), w, low + y * w);
        std::copy_n(even(y) + w, w, details + y * w);
        std::copy_n(odd(y), w, details + (h + y) * w);
        std::copy_n(odd(y) + w, w, details + (2 * h + y) * w);
    };
    for (size_t y = 0; y < h + 2; ++y) {
        if (y < h) {
            take(plane + 2 * y * width, even(y));
            if (2 * y + 1 < height) {
                take(plane + (2 * y + 1) * width, odd(y));
            } else {
                std::copy_n(even(y), 2 * w, odd(y));
            }
        }
        if (y >= 1 && y <= h) {
            loops.lift(odd(y - 1), even(y - 1), even(std::min(y, h - 1)), 2 * w, 0, false);
            loops.lift(even(y - 1), odd(y - 1), odd(y > 1 ? y - 2 : 0), 2 * w, 1, false);
        }
        if (y >= 2) {
            loops.lift(odd(y - 2), even(y - 2), even(std::min(y - 1, h - 1)), 2 * w, 2, false);
            loops.lift(even(y - 2), odd(y - 2), odd(y > 2 ? y - 3 : 0), 2 * w, 3, false);
            show(y - 2);
        }
    }
}

// As in `exact_split`.
void exact_merge(const int32_t* low, const int32_t* details, size_t height, size_t width, int32_t* plane,
                 const Kernels& kernels) {
    constexpr size_t kNear = 3;  // pairs of rows
    const size_t h = (height + 1) / 2, w = (width + 1) / 2;
    const ExactLoops& loops = kernels.exact;
    const Buffer<int32_t> buffer(2 * kNear * 2 * w);
    const auto even = [&](size_t pair) { return buffer.get() + pair % kNear * 4 * w; };
    const auto odd = [&](size_t pair) { return even(pair) + 2 * w; };
    const auto take = [&](size_t y) {
        loops.settle(low + y * w, w, even(y));
        loops.settle(details + y * w, w, even(y) + w);
        loops.settle(details + (h + y) * w, w, odd(y));
        loops.settle(details + (2 * h + y) * w, w, odd(y) + w);
    };
    const auto show = [&](int32_t* row, int32_t* to) {
        loops.settle(row, 2 * w, row);
        lift_row(loops, row, row + w, w, true);
        loops.weave(row, row + w, width / 2, to);
        if (width % 2 == 1) to[width - 1] = row[w - 1];
    };
    for (size_t y = 0; y < h + 2; ++y) {
        if (y < h) {
            take(y);
            loops.lift(even(y), odd(y), odd(y > 0 ? y - 1 : 0), 2 * w, 3, true);
        }
        if (y >= 1 && y <= h) {
            loops.lift(odd(y - 1), even(y - 1), even(std::min(y, h - 1)), 2 * w, 2, true);
            loops.lift(even(y - 1), odd(y - 1), odd(y > 1 ? y - 2 : 0), 2 * w, 1, true);
        }
        if (y >= 2) {
            loops.lift(odd(y - 2), even(y - 2), even(std::min(y - 1, h - 1)), 2 * w, 0, true);
            show(even(y - 2), plane + (2 * y - 4) * width);
            if (2 * y - 3 < height) show(odd(y - 2), plane + (2 * y - 3) * width);
        }
    }
}

}  // namespace tessera
