// Motion search of the encoder. It finds the same vectors on every instruction set and with any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels.hpp"

namespace tessera {

constexpr float kKneesAPrice = 1.5f;  // the knee, in prices of a bit

struct MotionSearch {
    size_t height, width;          // multiples of 8
    size_t block;                  // 8 or 16
    size_t references;             // 1 or 2
    const int16_t* current;        // (height, width)
    const int16_t* planes[2];      // one (height, width) per reference
    float price;                   // sum of |error| that a bit of motion is worth
    int16_t knee;                  // coefficients below count by their squares, see left_over_transformed
    size_t rows() const { return (height + block - 1) / block; }
    size_t columns() const { return (width + block - 1) / block; }
};

// A field (rows, columns, 2) towards the only reference. `guess` is such a field or null; vectors found without it stay
// within `radius` samples.
void search(const MotionSearch& motion, const int16_t* guess, size_t radius, int16_t* field, size_t threads,
            const Kernels& kernels);

// Refines fields (2, rows, columns, 2) in place and chooses modes (rows, columns): 0 first reference, 1 second, 2 both.
// `guesses` are such fields or null. Vectors without use continue those around them.
void decide(const MotionSearch& motion, const int16_t* guesses, int16_t* fields, uint8_t* modes, size_t threads,
            const Kernels& kernels);

}  // namespace tessera
