// Overlapped block motion compensation of sample planes, in integers: models/reference/motion.py, cells of the dual
// grid at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels.hpp"

namespace tessera {

struct Motion {
    size_t height, width;         // sides of each of the three planes
    size_t block;                 // 8 or 16
    size_t references;            // 1 or 2
    const int16_t* planes[2];     // one (3, height, width) per reference, |sample| <= kLargestSample
    const int16_t* fields;        // (references, rows, columns, 2): dy, dx in quarter samples
    const uint8_t* modes;         // (rows, columns): 0 first reference, 1 second, 2 both; null: all 0
    size_t rows() const { return (height + block - 1) / block; }
    size_t columns() const { return (width + block - 1) / block; }
};

// Predicts planes (3, height, width).
void compensate(const Motion& motion, int16_t* out, size_t threads, const Kernels& kernels);

}  // namespace tessera
