// The inner loops of integer networks, once per instruction set. All give the same integers.
//
// Tensors lie in cells of `pitch` channels, a multiple of kPanel / 2, with a frame of one cell around the picture, and
// one more row and column where its sides are odd; the frame holds what counts as zero.
//
// Weights of dense layers lie in panels of kPanel outputs: panels[panel][k / 2][output][k % 2], where k counts the
// inputs, rounded up; of 3 x 3 layers, transformed, [panel][frequency][k / 2][output][k % 2].
#pragma once

#include <cstddef>
#include <cstdint>

#include "dispatch.hpp"

namespace tessera {

constexpr size_t kPanel = 32;     // outputs that are summed at once
constexpr size_t kMostRows = 12;  // cells that are multiplied at once
constexpr size_t kChunk = 48;     // cells, or windows of 2 x 2 cells, between two steps of a layer
constexpr size_t kFrequencies = 16;

// The last steps of a layer, for one panel.
struct Finish {
    const int32_t* multipliers;  // kPanel
    const int64_t* offsets;      // kPanel
    const int16_t* table;        // null for none
    int32_t entries;
    int32_t low, high;
    size_t outputs;    // kPanel or kPanel / 2
    size_t out_pitch;  // channels from one cell to the next
    size_t add_pitch;
};

struct NetworkLoops {
    Path path;

    // sums[i][o] = sum over k < depth of a[i * stride + k] * weight, for `count` cells rounded up to kMostRows, and
    // `outputs` of the kPanel outputs. depth is even. The cells that count was rounded up by are read.
    void (*multiply)(const int16_t* a, size_t stride, size_t count, size_t depth, size_t outputs, const int16_t* panel,
                     int32_t* sums);

    // Winograd's transform of 4 x 4 cells, `channels` of each, a multiple of kPanel / 2: frequency f goes to
    // out[f * step].
    void (*spread)(const int16_t* cells, size_t row, size_t pitch, size_t channels, int16_t* out, size_t step);
    // The inverse for one panel: sums of frequency f at sums[f * step] -> 2 x 2 cells, out[y * line + x * kPanel].
    void (*gather)(const int32_t* sums, size_t step, size_t outputs, int32_t* out, size_t line);

    // Sums of a window of side 1 or 3 around `cell`, `channels` of the kPanel; weights (side, side, kPanel).
    void (*depthwise)(const int16_t* cell, size_t row, size_t pitch, size_t side, const int8_t* weights,
                      size_t channels, int32_t* sums);

    // Sums of `count` cells, kPanel apart, to a tensor. `add` may be null.
    void (*finish)(const Finish& finish, const int32_t* sums, size_t count, const int16_t* add, int16_t* out);
};

const NetworkLoops& scalar_network();
const NetworkLoops& avx2_network();
const NetworkLoops& avx512_vnni_network();
const NetworkLoops& neon_network();

const Dispatch<NetworkLoops>& network_dispatch();

}  // namespace tessera
