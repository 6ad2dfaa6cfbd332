// Codes or reads one frame in one call: all levels of the walk, with symbols going straight to or from a coder. The
// walk is given as data, see `FramePlan`. Twin: the loop over passes in models/prior/native.py; the calls of the coder,
// the integers and the bits are equal.
#pragma once

#include <memory>
#include <vector>

#include "coder.hpp"
#include "prior.hpp"

namespace tessera {

// One level: what is walked, and the integers that are added at one quality.
struct LevelPlan {
    std::shared_ptr<const Level> level;
    size_t number, height, width;               // number: each cell is 2^number cells of the frame wide and high
    std::vector<int32_t> bias;                  // (hidden,)
    std::vector<std::vector<int32_t>> answers;  // what each coded pass adds to its answers; two passes per slice
};

// A frame: its levels from coarse to fine, and the low band, which is coded before them.
struct FramePlan {
    size_t height, width;  // cells
    std::vector<LevelPlan> levels;
    size_t low_number, low_height, low_width;
    std::vector<uint8_t> low_rungs;  // one per coded plane of the low band
    uint8_t first_table;             // number of the ladder's first table among the coder's tables

    // Throws std::invalid_argument when sizes do not fit.
    void check() const;
};

constexpr size_t kLowPlanes = 3;

// What one call walks with.
struct FrameInputs {
    const SymbolPort* port;             // null: symbols that are put are dropped
    std::vector<const int32_t*> hints;  // one per level; null where there are none
    const int32_t* costs;               // (kRungs, kCostColumns), or null: bits are not counted
    Kept kept;                          // planes of the packet that are made; those of the pyramid always are
    size_t threads;
    const Kernels& kernels;
};

struct Frame {
    std::vector<std::unique_ptr<Walk>> walks;  // one per level
    std::vector<int32_t> low;                  // (kLowPlanes, low_height, low_width)
    std::vector<float> bits;                   // (height, width), where they are counted
};

// Gets a frame. Throws Refused.
Frame read_frame(const FramePlan& plan, const FrameInputs& inputs);

// Rounds a frame along the walk and puts it. scaled: one per level, see `Walk::round`; low: the coded planes, rounded.
// Throws Refused.
Frame code_frame(const FramePlan& plan, const FrameInputs& inputs, const std::vector<const float*>& scaled,
                 const int32_t* low, const float* margins);

}  // namespace tessera
