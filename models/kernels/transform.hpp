// Pixels to packet bands and back: models/transform/packet.py and the colour axes, a row and a strip of columns
// at a time.
#pragma once

#include <cstdint>

#include "kernels.hpp"

namespace tessera {

struct Frame {
    size_t height, width, channels;  // pixels; channels 1 or 3
    size_t rows() const { return (height + kCell - 1) / kCell; }
    size_t columns() const { return (width + kCell - 1) / kCell; }
};

// pixels (height, width, channels) -> bands[i] times scales[i], i < kBands; bands whose pointer is null are left out.
// A band lies in walk order: the cells whose row + column is even, in raster order, then the others; the first one of
// each axis, the low one, as a plane (rows, columns).
void analyse(const Frame& frame, const uint8_t* pixels, float* const* bands, const float* scales, size_t threads,
             const Kernels& kernels);

// Where a band comes from, each (rows, columns) or null: scale * (symbols + correction) + plane.
struct Source {
    const int32_t* symbols;
    const uint16_t* correction;  // bfloat16
    const float* plane;
    float scale;
};

// The inverse: pixels rounded, clipped and cropped.
void synthesise(const Frame& frame, const Source* sources, uint8_t* pixels, size_t threads, const Kernels& kernels);

// What the synthesis network reads of `planes` planes of integers and rungs, `cells` each: companded integers, then
// rungs / 16, as bfloat16.
void describe(const int32_t* values, const uint8_t* rungs, size_t planes, size_t cells, uint16_t* out, size_t threads,
              const Kernels& kernels);

}  // namespace tessera
