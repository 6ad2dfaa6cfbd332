// The inner loops of dyadic.hpp, once per instruction set. All give the same integers on every set.
//
// They take runs: up to kRun cells of a row. Counts of cells are multiples of kRunStep; what lies beyond the row is
// computed with the others. A WORD is two int16 of one cell: a feature with its sign below the same without, or two
// channels without signs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "constants.hpp"
#include "dispatch.hpp"
#include "trellis.hpp"

namespace tessera {

constexpr size_t kRun = 64;
constexpr size_t kRunStep = 16;

// Integer weights of a 1 x 1 convolution of words, for blocks of four outputs.
struct WordConv {
    size_t words = 0, blocks = 0;
    std::vector<int32_t> weights;  // (blocks, words, 4): two int16 each, as words are
};

struct DyadicLoops {
    Path path;

    // Whether each kRunStep words of a row hold anything but zeros: marks, a byte each.
    void (*mark)(const uint32_t* words, size_t count, uint8_t* marks);

    // sums[o][i] += sum over the numbered rows of both products of weight and word; sums is (4 * blocks, cells). Where
    // `biases` (4 * blocks,) is not null, it is what they start with.
    void (*add_words)(const WordConv& conv, const uint32_t* const* words, const uint16_t* numbers, size_t count,
                      size_t cells, const int32_t* biases, int32_t* sums);

    // Pairs of rows of sums (rows, cells) to rows of words (rows / 2, cells): divided by 2^shift, rounded half up,
    // clipped to 0..kLargestActivation.
    void (*activate)(const int32_t* sums, size_t rows, int shift, size_t cells, uint32_t* words);

    // Answers that hold half a unit more to whole numbers 0..largest.
    void (*answers)(const int32_t* sums, int32_t largest, size_t cells, uint8_t* out);

    // Features of any count of values; signs: the values again, or others with the signs that count.
    void (*features)(const int32_t* values, const int32_t* signs, const int32_t* table, size_t count, uint32_t* words);

    // Clips decoded magnitudes to 0..kLargest, in place, and lists first + signs[i] of those that are not zero. Returns
    // how many; `listed` has room for kRunStep more than that.
    size_t (*settle)(int32_t* magnitudes, const uint8_t* signs, size_t count, uint8_t first, uint8_t* listed);

    // Negates the numbers that are not zero and whose symbol, one for each of them, is odd. One symbol more is read, and
    // does not count.
    void (*negate)(int32_t* magnitudes, const int32_t* symbols, size_t count);

    // One step of `Trellis`: metrics (kTrellisStates, kMostChains) before it become those after it. from: a bit for each
    // state, set where an odd value leads to it; zeros: a bit for each quantiser whose even value is zero instead.
    void (*search)(const int32_t* rates, const int32_t* distances, const uint8_t* rungs, int32_t* metrics, uint32_t* from,
                   uint8_t* zeros);
};

const DyadicLoops& scalar_dyadic();
#if TESSERA_X86
const DyadicLoops& avx2_dyadic();
const DyadicLoops& avx512_vnni_dyadic();
#endif

const Dispatch<DyadicLoops>& dyadic_dispatch();

}  // namespace tessera
