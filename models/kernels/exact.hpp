// The integer wavelet transform, and the quantisation of its bands. The integers are the same on every instruction set
// and for any number of threads, also for a forged stream. Twin: models/reference/lifting.py.
//
// Samples are int16 in 1/16 gray level along the colour axes, around 128. Bands stay as lifting leaves them: the gains
// of models/transform/packet.py are part of the steps.
#pragma once

#include <cstdint>

#include "kernels.hpp"

namespace tessera {

struct Frame {
    size_t height, width, channels;  // pixels; channels 1 or 3
    size_t rows() const { return (height + kCell - 1) / kCell; }
    size_t columns() const { return (width + kCell - 1) / kCell; }
};

// pixels (height, width, channels) -> planes (3, 8 * rows, 8 * columns); the last row and column are repeated, one
// channel stands for all three.
void exact_planes(const Frame& frame, const uint8_t* pixels, int16_t* planes, size_t threads, const Kernels& kernels);

// The inverse: rounded, clipped and cropped; one channel comes from the gray axis alone.
void exact_pixels(const Frame& frame, const int16_t* planes, uint8_t* pixels, size_t threads, const Kernels& kernels);

// planes (3, 8 * rows, 8 * columns) -> bands[i], each (rows, columns), i < kBands; bands whose pointer is null are left
// out. Three levels along the rows, then three along the columns.
void exact_analyse(const int16_t* planes, size_t rows, size_t columns, int32_t* const* bands, size_t threads,
                   const Kernels& kernels);

// The inverse, samples clamped to -kSampleLimit..kSampleLimit; bands whose pointer is null are zero.
void exact_synthesise(const int32_t* const* bands, size_t rows, size_t columns, int16_t* planes, size_t threads,
                      const Kernels& kernels);

// A lifted picture (3, height, width) to planes (3, 8 * rows, 8 * columns): clipped to kSampleLimit, the last row and
// column repeated; and planes to the lifted picture that lies in them.
void exact_pad(const int32_t* lifted, size_t height, size_t width, int16_t* planes, size_t threads,
               const Kernels& kernels);
void exact_crop(const int16_t* planes, size_t height, size_t width, int32_t* lifted, size_t threads);

// One level of the pyramid: (height, width) -> low and three details, each ((height + 1) / 2, (width + 1) / 2): high
// along x, along y, along both. Odd sides are padded by repeating the last row or column.
void exact_split(const int32_t* plane, size_t height, size_t width, int32_t* low, int32_t* details,
                 const Kernels& kernels);

// The inverse, for a plane of height x width.
void exact_merge(const int32_t* low, const int32_t* details, size_t height, size_t width, int32_t* plane,
                 const Kernels& kernels);

// Latents from `bands` planes of symbols, `cells` each: prediction + symbol * step, steps with 16 fraction bits and
// below 2^31, symbols clipped to kLargest, the sum to kBandLimit. The prediction may be null.
void restore(const int32_t* symbols, const int64_t* steps, const int32_t* prediction, size_t bands, size_t cells,
             int32_t* out, size_t threads, const Kernels& kernels);

// Magnitudes of a prediction times reciprocals of 32 fraction bits, below 2^40; at most 255.
void hints(const int32_t* prediction, const int64_t* reciprocals, size_t bands, size_t cells, int32_t* out,
           size_t threads, const Kernels& kernels);

// The sum of costs[hint] (256) over the hints of bands - prediction, which may be null; differences wrap.
int64_t effort(const int32_t* bands, const int32_t* prediction, const int64_t* reciprocals, size_t count, size_t cells,
               const int32_t* costs, size_t threads, const Kernels& kernels);

// (bands - prediction) * inverse for `count` planes (rows, columns), in the order of the walk's passes: the cells whose
// row + column is even, in raster order, then the others. The prediction may be null.
void scaled_residual(const int32_t* bands, const int32_t* prediction, const float* inverse, size_t count, size_t rows,
                     size_t columns, float* out, size_t threads, const Kernels& kernels);

}  // namespace tessera
