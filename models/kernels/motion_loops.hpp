// The inner loops of motion compensation and search, once per instruction set. All give the same integers on every set.
//
// Rows are read in steps of kStride samples: what lies behind `columns` up to the next multiple of kStride is read and,
// in buffers of pitch kPatch, written, but means nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera {

constexpr size_t kStride = 32;
constexpr size_t kPatch = 192;  // samples per row of a patch, the widest piece that is predicted at once
constexpr size_t kLargestWindow = 32;  // rows or columns that are compared at once

// A rectangle of samples: `pitch` from row to row.
struct Samples {
    const int16_t* at;
    ptrdiff_t pitch;
};

struct MotionLoops {
    // out[y][x] = (sum over k of taps[k] * from[x + (k - 3) * step] + 32) >> 6, where `step` is 1 along rows and the
    // pitch along columns. |samples| < 2^14.
    void (*filter)(Samples from, ptrdiff_t step, const int16_t* taps, size_t rows, size_t columns, int16_t* out,
                   size_t pitch);

    // Patch (a + b + 1) >> 1.
    void (*average)(Samples a, Samples b, size_t rows, size_t columns, int16_t* out);

    // Patch sums[y][x] += down[y] * across[x] * samples[y][x].
    void (*accumulate)(Samples samples, const int16_t* down, const int16_t* across, size_t rows, size_t columns,
                       int32_t* sums);

    // Patch of sums, divided by 2^shift and rounded half up, to a plane; clamped to +-kLargestSample.
    void (*finish)(const int32_t* sums, int shift, size_t rows, size_t columns, int16_t* out, size_t pitch);

    // Samples to a plane, clamped to +-kLargestSample.
    void (*settle)(Samples samples, size_t rows, size_t columns, int16_t* out, size_t pitch);

    // Sum of |a - b|, which must fit an int16 each; `columns` a multiple of 8, of 64 rows and columns at most.
    uint32_t (*difference)(Samples a, Samples b, size_t rows, size_t columns);

    // A block has `weights` in 1 / 2^15 in its window. `expose` computes what it has to predict there: target = rest +
    // weights * samples. `cover` puts its prediction back: rest = target - weights * samples. Rows of weights and
    // targets are kLargestWindow long.
    void (*expose)(const int16_t* rest, size_t pitch, Samples samples, const int16_t* weights, size_t rows,
                   size_t columns, int16_t* target);
    void (*cover)(const int16_t* target, Samples samples, const int16_t* weights, size_t rows, size_t columns,
                  int16_t* rest, size_t pitch);

    // Sum of |target - weights * samples|; something above `limit` when it is larger. Rows are taken by 8 and columns
    // by 16.
    uint32_t (*left_over)(const int16_t* target, Samples samples, const int16_t* weights, size_t rows, size_t columns,
                          uint32_t limit);

    // The same of the coefficients of its 8 x 8 Hadamard transform, orthonormal and in integers, each taken as
    // m^2 / knee + kBeyond * (|coefficient| - m) with m = min(|coefficient|, knee), knee in 1..kLargestKnee.
    float (*left_over_transformed)(const int16_t* target, Samples samples, const int16_t* weights, size_t rows,
                                   size_t columns, int16_t knee, float limit);
};

constexpr int16_t kLargestKnee = 8000;  // sums of squares stay below 2^31
constexpr float kBeyond = 0.8f;  // cost of each unit of a coefficient above the knee

}  // namespace tessera
