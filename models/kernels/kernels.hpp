// The inner loops of family `wavelet`, once per instruction set. The integer ones give the same integers on every set
// and for every number of threads; the float ones give the same bits too, since nothing is contracted (setup.py).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "constants.hpp"
#include "dispatch.hpp"
#include "exact_loops.hpp"
#include "motion_loops.hpp"

namespace tessera {

constexpr size_t kTile = 128;     // cells of one parity that are worked on at once
constexpr size_t kLanes = 16;     // columns that the vertical transform takes at once

// Integer weights of a 1 x 1 convolution of bytes, for blocks of four outputs and groups of four inputs. A weight
// beyond a signed byte is the sum of several: its group is then listed more than once, and groups of zeros never.
struct Conv {
    size_t inputs = 0;             // groups of four
    size_t outputs = 0;            // blocks of four
    std::vector<uint32_t> first;   // entries of block b: first[b] .. first[b + 1]
    std::vector<uint32_t> group;   // of each entry
    std::vector<int32_t> weights;  // four bytes for each of the four outputs of each entry
};

// Of one value on its rung: costs (kRungs, kCostColumns).
int32_t cost_of(const int32_t* costs, int rung, int32_t value);

struct Kernels {
    Path path;

    // sums[o][i] += sum over inputs of weight * byte: x is (conv.inputs, kTile) words of four bytes, sums is
    // (4 * conv.outputs, kTile).
    void (*add_product)(const Conv& conv, const uint32_t* x, int32_t* sums);

    // Four rows of sums to activations, one word a cell: divided by 2^kHiddenShift, rounded half up, clipped to 0..255.
    void (*activate)(const int32_t* sums, uint32_t* out);

    // Four rows of kTile bytes to words.
    void (*interleave)(const uint8_t* rows, uint32_t* out);

    // Answers that hold half a rung more to rungs 0..kRungs - 1; returns the largest.
    int (*rungs)(const int32_t* answers, uint8_t* out);

    // Rung to table.
    void (*indices)(const uint8_t* rungs, uint8_t* out);

    // rounding.round_cheaply, with margins (kRungs, kMargins) = weight * bits saved by the next smaller magnitude;
    // magnitudes beyond kLargest, and what is no number, become kLargest.
    void (*round)(const float* scaled, const uint8_t* rungs, const float* margins, int32_t* out);

    // Decoded values clipped to -kLargest..kLargest, in place.
    void (*clip)(int32_t* values);

    // 8 * log2(1 + |q|) from a table of 256.
    void (*features)(const int32_t* q, const int32_t* table, uint8_t* out);

    // sums[i] += cost_of(costs, rungs[i], values[i]), i < n; see constants.hpp.
    void (*add_costs)(const int32_t* values, const uint8_t* rungs, size_t n, const int32_t* costs, int32_t* sums);

    // Values, and rungs where there is a place for them, to every second place of a row.
    void (*spread)(const int32_t* values, const uint8_t* rungs, size_t n, int32_t* to_values, uint8_t* to_rungs);

    // sign(q) * log(1 + |q|) as bfloat16, from a table for |q| < 256, and rung / 16.
    void (*compand)(const int32_t* q, size_t n, const uint16_t* table, uint16_t* out);
    void (*rescale)(const uint8_t* rungs, size_t n, uint16_t* out);

    // sums[i] += sum over taps of weights[t] * rows[t][i], i < n.
    void (*add_near)(const uint8_t* const* rows, const int32_t* weights, size_t n, int32_t* sums);

    // One row of pixels (columns, channels 1 or 3) to three colour axes of 8 * cells samples, the last pixel repeated.
    void (*colours)(const uint8_t* pixels, size_t columns, size_t channels, size_t cells, float* axes);

    // The inverse: rounded and clipped.
    void (*pixels)(const float* axes, size_t columns, size_t channels, size_t cells, uint8_t* out);

    // (cells, 8) samples to 8 phases of `cells` and three lifting levels along the row; `scratch` holds one cell more
    // a phase. The inverse takes phases to samples.
    void (*split_row)(const float* samples, size_t cells, float* phases);
    void (*merge_row)(float* phases, size_t cells, float* samples);

    // Three lifting levels along the column of 8 * cells rows of kLanes, in place, and their inverse.
    void (*split_column)(float* rows, size_t cells);
    void (*merge_column)(float* rows, size_t cells);

    // `lines` rows of `count` <= kLanes columns between a plane and the rows of a column.
    void (*load_strip)(const float* plane, size_t pitch, size_t lines, size_t count, float* rows);
    void (*store_strip)(const float* rows, size_t pitch, size_t lines, size_t count, float* plane);

    // Columns times a factor: those of even place to one row, those of odd place to the other.
    void (*deal)(const float* row, size_t count, float factor, float* even, float* odd);

    // scale * (symbols + correction) + gain * plane; pointers may be null, the correction is bfloat16.
    void (*blend)(const int32_t* symbols, const uint16_t* correction, const float* plane, float scale, float gain,
                  size_t count, float* row);

    MotionLoops motion;
    ExactLoops exact;
};

const Kernels& scalar_kernels();
#if TESSERA_X86
const Kernels& avx2_kernels();
const Kernels& avx512_vnni_kernels();
#endif

const Dispatch<Kernels>& dispatch();

}  // namespace tessera
