// The inner loops of the codec families, once per instruction set. All give the same integers on every set and for
// every number of threads; the few that round floats give the same bits too, since nothing is contracted (setup.py).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "constants.hpp"
#include "dispatch.hpp"
#include "exact_loops.hpp"
#include "motion_loops.hpp"
#include "word_loops.hpp"

namespace tessera {

constexpr size_t kTile = 128;     // cells of one parity that are worked on at once
constexpr size_t kLanes = 16;     // columns that the vertical transform takes at once

// Integer weights of a 1 x 1 convolution of bytes, for blocks of four outputs and groups of four inputs. A weight
// beyond a signed byte is the sum of several: its group is then listed more than once, and groups of zeros never.
struct Conv {
    size_t inputs = 0;             // groups of four
    size_t outputs = 0;            // blocks of four
    std::vector<uint32_t> first;   // entries of block b: first[b] .. first[b + 1]
    std::vector<uint32_t> group;   // which group each entry belongs to
    std::vector<int32_t> weights;  // four bytes for each of the four outputs of each entry
};

// Low bits that a wide rung splits off; 0 for rungs that are tables.
inline int shift_of(int rung) { return rung < kTables ? 0 : (rung - kTables + kPerOctave) / kPerOctave; }

// What one value costs on its rung; costs: (kRungs, kCostColumns).
int32_t cost_of(const int32_t* costs, int rung, int32_t value);

struct Kernels {
    Path path;

    // sums[o][i] += sum over inputs of weight * byte: x is (conv.inputs, kTile) words of four bytes, sums is
    // (4 * conv.outputs, kTile). Groups of x that are not `used` count as zero; null: all are.
    void (*add_product)(const Conv& conv, const uint32_t* x, const uint8_t* used, int32_t* sums);

    // Four rows of sums to activations, one word per cell: divided by 2^shift, rounded half up, clipped to 0..255.
    void (*activate)(const int32_t* sums, int shift, uint32_t* out);

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

    // kLargestFeature plus the feature with the sign of q, from features without it.
    void (*signed_features)(const int32_t* q, const uint8_t* features, uint8_t* out);

    // sums[i] += cost_of(costs, rungs[i], values[i]), i < n; see constants.hpp.
    void (*add_costs)(const int32_t* values, const uint8_t* rungs, size_t n, const int32_t* costs, int32_t* sums);

    // Values, and rungs where there is a place for them, to every second place of a row.
    void (*spread)(const int32_t* values, const uint8_t* rungs, size_t n, int32_t* to_values, uint8_t* to_rungs);

    // sums[i] += sum over taps of weights[t] * rows[t][i], i < n.
    void (*add_near)(const uint8_t* const* rows, const int32_t* weights, size_t n, int32_t* sums);

    MotionLoops motion;
    ExactLoops exact;
    WordLoops words;
};

const Kernels& scalar_kernels();
#if TESSERA_X86
const Kernels& avx2_kernels();
const Kernels& avx512_vnni_kernels();
#endif

const Dispatch<Kernels>& dispatch();

}  // namespace tessera
