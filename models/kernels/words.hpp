// Words that networks read, and their answers, in integers. A cell's channels lie together, (height, width, channels),
// as in network.hpp; bands lie plane by plane. Twin: models/reference/words.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace tessera {

constexpr int64_t kWordReciprocal = int64_t{1} << 42;  // none is larger

// Channels of all cells: channel c of cell i is at data[i * pitch + c].
struct Cells {
    int16_t* data;
    size_t count, pitch;
};

// table[min(|v|, entries - 1)] with the sign of v, of planes (channels, cells).
void describe_integers(const int32_t* values, size_t channels, const int16_t* table, size_t entries, Cells out,
                       size_t threads, const Kernels& kernels);
// table[v], 256 entries.
void describe_bytes(const uint8_t* values, size_t channels, const int16_t* table, Cells out, size_t threads,
                    const Kernels& kernels);
// table[min(min(|v|, kWordMagnitude) * reciprocals[channel] >> kWordShift, entries - 1)] with the sign of v.
void describe_scaled(const int32_t* values, size_t channels, const int64_t* reciprocals, const int16_t* table,
                     size_t entries, Cells out, size_t threads, const Kernels& kernels);
// Low bands (3, height, width) as six channels. First v * count - sum, over the `count` cells of the 3 x 3 window that
// lie in the plane, scaled as above by reciprocals[count] (10,); then v * factor + 32768 >> 16, clipped to 16 bits.
void describe_low(const int32_t* low, size_t height, size_t width, const int64_t* reciprocals, const int16_t* table,
                  size_t entries, int32_t factor, Cells out);

// What becomes of one band: out[cell] = from[cell], or zero where that is null, + correction[cell][band] * steps[band],
// rounded at kCorrectionShift, clipped to +-kBandLimit. `out` may be `from`.
struct Correction {
    const int32_t* from;
    int32_t* out;
    size_t band;
};

// corrections (cells, pitch), steps (pitch,).
void add_corrections(const int16_t* corrections, size_t pitch, const int64_t* steps,
                     const std::vector<Correction>& planes, size_t cells, size_t threads, const Kernels& kernels);

// The first `channels` latents of every cell together, (cells, channels): three low bands (3, cells) times `low_unit`,
// then bands (., cells) times units.
void to_cells(const int32_t* low, float low_unit, const int32_t* bands, const float* units, size_t cells,
              size_t channels, float* out, size_t threads, const Kernels& kernels);

}  // namespace tessera
