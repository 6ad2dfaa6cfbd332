// The inner loops of words.hpp, once per instruction set. All give the same integers on every set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera {

constexpr int64_t kWordShift = 32;           // fraction bits of reciprocals
constexpr int64_t kWordMagnitude = 1 << 20;  // a larger |value| counts as this
constexpr int kCorrectionShift = 24;         // fraction bits of a correction and of a step, together

struct WordLoops {
    // One band of words.hpp's functions.
    void (*of_integers)(const int32_t* values, size_t count, const int16_t* table, size_t entries, int16_t* words);
    void (*of_scaled)(const int32_t* values, int64_t reciprocal, size_t count, const int16_t* table, size_t entries,
                      int16_t* words);
    void (*correct)(const int16_t* corrections, int64_t step, const int32_t* from, size_t count, int32_t* out);

    // A row of one band of moves.hpp's functions.
    void (*remainders)(const int32_t* details, const int32_t* symbols, float inverse, float factor, float limit,
                       size_t count, int16_t* words);
    void (*move)(const int32_t* details, const int16_t* moves, double factor, int16_t limit, size_t count,
                 int32_t* out);

    // to[j * to_pitch + i] = from[i * from_pitch + j] for `rows` rows i and `columns` columns j.
    void (*turn)(const int16_t* from, size_t from_pitch, size_t rows, size_t columns, int16_t* to, size_t to_pitch);
    void (*turn_numbers)(const float* from, size_t from_pitch, size_t rows, size_t columns, float* to, size_t to_pitch);
};

}  // namespace tessera
