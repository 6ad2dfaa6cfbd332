// One frame in one call: every level of the walk, and the symbols straight between it and a coder. What is walked comes
// as data, see `FramePlan`. Twin: the loop over passes in models/prior/native.py, to which the calls of the coder, the
// integers and the bits are equal.
#pragma once

#include <memory>
#include <vector>

#include "port.hpp"
#include "prior.hpp"

namespace tessera {

// A coder refused: what it said.
struct Refused {
    PortFailure failure;
};

// One level: what is walked, and the integers that are added at one quality.
struct LevelPlan {
    std::shared_ptr<const Level> level;
    size_t number, height, width;               // number: each cell is 2^number cells of the frame wide and high
    std::vector<int32_t> bias;                  // (hidden,)
    std::vector<std::vector<int32_t>> answers;  // of each pass that is coded: two per slice
};

// A frame: its levels from coarse to fine, and the low band, which is coded before them.
struct FramePlan {
    size_t height, width;  // cells
    std::vector<LevelPlan> levels;
    size_t low_number, low_height, low_width;
    std::vector<uint8_t> low_rungs;  // of each plane of the low band that is coded
    uint8_t first_table;             // where the ladder stands among the coder's tables

    // Throws std::invalid_argument when sizes do not fit.
    void check() const;
};

constexpr size_t kLowPlanes = 3;

// What one call walks with.
struct FrameInputs {
    const SymbolPort* port;             // null: what is put goes nowhere
    std::vector<const int32_t*> hints;  // of each level, null where it is told nothing
    const int32_t* costs;               // (kRungs, kCostColumns), or null: bits are not counted
    Kept kept;                          // of the packet; the pyramid's planes are always made
    size_t threads;
    const Kernels& kernels;
};

struct Frame {
    std::vector<std::unique_ptr<Walk>> walks;  // of each level
    std::vector<int32_t> low;                  // (kLowPlanes, low_height, low_width)
    std::vector<float> bits;                   // (height, width), where they are counted
};

// Gets a frame. Throws Refused.
Frame read_frame(const FramePlan& plan, const FrameInputs& inputs);

// Rounds a frame along the walk and puts it. scaled: of each level, as of `Walk::answer_and_round`; low: rounded, of the
// planes that are coded. Throws Refused.
Frame code_frame(const FramePlan& plan, const FrameInputs& inputs, const std::vector<const float*>& scaled,
                 const int32_t* low, const float* margins);

}  // namespace tessera
