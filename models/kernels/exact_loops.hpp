// The inner loops of the exact transform, once per instruction set. All give the same integers on every set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera {

struct ExactLoops {
    // One row of pixels (columns, channels 1 or 3) to 8 * cells samples of three axes, `pitch` apart, the last pixel
    // repeated; and its inverse, rounded and clipped.
    void (*colours)(const uint8_t* pixels, size_t columns, size_t channels, size_t cells, int16_t* axes, size_t pitch);
    void (*pixels)(const int16_t* axes, size_t pitch, size_t columns, size_t channels, uint8_t* out);

    // `count` rows of 8 * cells samples, 8 or kLanes of them -> phase p of cell i of row k at phases[k * pitch + p * cells
    // + i]; and its inverse, whose samples are clamped. `scratch` holds kLanes * 8 * cells numbers, zero at first.
    void (*split_lines)(const int16_t* samples, size_t cells, size_t count, int32_t* scratch, int32_t* phases,
                        size_t pitch);
    void (*merge_lines)(const int32_t* phases, size_t pitch, size_t cells, size_t count, int32_t* scratch,
                        int16_t* samples);
    // Columns kLanes side by side, 8 * cells rows.
    void (*split_column)(int32_t* rows, size_t cells);
    void (*merge_column)(int32_t* rows, size_t cells);
    void (*load_strip)(const int32_t* plane, size_t pitch, size_t lines, size_t count, int32_t* rows);
    void (*store_strip)(const int32_t* rows, size_t pitch, size_t lines, size_t count, int32_t* plane);

    // to[i] += what step 0..3 of lifting adds, or adds when it is undone, for the neighbours left[i] and right[i].
    void (*lift)(int32_t* to, const int32_t* left, const int32_t* right, size_t count, int step, bool undo);

    // Numbers clamped to kBandLimit, also in place.
    void (*settle)(const int32_t* from, size_t count, int32_t* to);
    // Numbers at even and at odd places to two rows, clamped to kBandLimit; and two rows to such places.
    void (*part)(const int32_t* from, size_t pairs, int32_t* even, int32_t* odd);
    void (*weave)(const int32_t* even, const int32_t* odd, size_t pairs, int32_t* to);

    // Numbers to samples, clamped.
    void (*samples)(const int32_t* lifted, size_t count, int16_t* out);

    // One band of exact.hpp's functions. `residual` takes a part of a row; columns at even places go to one row, those
    // at odd places to the other.
    void (*restore)(const int32_t* symbols, int64_t step, const int32_t* prediction, size_t count, int32_t* out);
    void (*hints)(const int32_t* prediction, int64_t reciprocal, size_t count, int32_t* out);
    void (*residual)(const int32_t* bands, const int32_t* prediction, float inverse, size_t count, float* even,
                     float* odd);
};

}  // namespace tessera
