// The walk of models/prior/dyadic_bands.py in integers: which tables code each coefficient of a level of a dyadic
// pyramid, and its sign. Twin: models/prior/dyadic_walk.py.
//
// The cells of a level lie in four phases: phase 2 * (y % 2) + x % 2 is every second row and column. The first pass of
// a slice codes phases 0 and 3, the second one phases 1 and 2; symbols of a pass are channel by channel, phase by phase,
// row by row.
//
// Convolutions read bytes. A feature with a sign is stored as kLargestFeature more than it is, and what that adds to a
// sum is taken off with the biases.
#pragma once

#include <memory>
#include <vector>

#include "memory.hpp"
#include "prior.hpp"

namespace tessera {

constexpr size_t kPhases = 4;
constexpr size_t kAxes = 3;
constexpr size_t kAxisBands = 3;
constexpr size_t kDyadicBands = kAxes * kAxisBands;

struct DyadicSlice {
    size_t start = 0, count = 0;
    Conv view[2], near, heads[2], context;         // context.outputs 0: no slice follows
    std::vector<int32_t> near_zeros, context_zeros;  // what signed features of 0 add to each output
};

// The integers of one `dyadic_bands.DyadicLevel`.
class DyadicLevel {
public:
    // parent (4 * hidden, 9, 3, 3), low (hidden, 6, 5, 5). Throws std::invalid_argument when shapes do not fit or a sum
    // could pass kLargestSum, as `add` does.
    DyadicLevel(const Weights& parent, const Weights& low);
    // Adds a slice, in coding order; `context` may be null. REQUIRES that no walk has begun.
    void add(const Weights (&view)[2], const Weights& near, const Weights (&heads)[2], const Weights* context);

    size_t hidden, view = 0, channels = 0;
    Conv parent[kPhases], low;
    std::vector<int32_t> low_zeros;
    std::vector<DyadicSlice> slices;
};

// `count` cells of one phase from row y and place x on, which stand at `at` in their tile.
struct Piece {
    uint32_t y, x, count, at;
};

struct Tile {
    size_t phase, number, place, count;  // number: in the level; place: of its first cell in the pass
    std::vector<Piece> pieces;
};

// A byte per channel and cell, phase by phase, with a border that stands for what lies outside.
class PhaseMaps {
public:
    // The first `with_sign` channels are filled with kLargestFeature, the others with 0.
    PhaseMaps(size_t channels, size_t with_sign, size_t height, size_t width);
    void clear();
    // Row y of a phase, (dy, dx) cells of the level away: [x] is the neighbour of place x. |dy|, |dx| <= 2.
    const uint8_t* row(size_t channel, size_t phase, size_t y, int dy, int dx) const;
    uint8_t* row(size_t channel, size_t phase, size_t y) {
        return const_cast<uint8_t*>(row(channel, phase, y, 0, 0));
    }

private:
    size_t with_sign_, rows_, pitch_;
    std::vector<uint8_t> bytes_;
};

// What a level is walked with: integers at one quality.
struct DyadicPass {
    std::vector<int32_t> views, answers;  // (view,), (2 * count,)
};

struct DyadicLevelPlan {
    std::shared_ptr<const DyadicLevel> level;
    size_t height, width;
    std::vector<int32_t> bias;       // (hidden,)
    std::vector<DyadicPass> passes;  // of the coded slices, two of each
    std::vector<int64_t> steps;      // (9,)
    std::vector<float> inverse;      // (9,)
    int64_t reciprocal;              // of differences of the low plane
};

class DyadicWalk {
public:
    // low (3, height, width): the low plane; above: the details of the coarser level (9, ., .), null for zeros. The
    // plan outlives the walk.
    DyadicWalk(const DyadicLevelPlan& plan, const int32_t* low, const int32_t* above, size_t threads,
               const Kernels& kernels);

    size_t cells(size_t parity) const { return cells_[parity]; }
    // Begins a pass: rungs and sign tables, (count, cells) each. The second pass needs the first one's `store`.
    void begin(size_t pass);
    // Rounds the values of the pass: details (9, height, width).
    void round(const int32_t* details, const float* margins);
    // Adds up what the values of the pass cost: costs (kRungs, kCostColumns) of magnitudes, sign_costs (kSignTables, 2).
    void spend(const int32_t* costs, const int32_t* sign_costs);
    // Takes the values of the pass, and after the second one adds the slice to the context of those that follow.
    void store();

    std::vector<uint8_t> rungs, signs;
    std::vector<int32_t> values;
    int32_t* details() const { return details_.get(); }  // (9, height, width), zero where nothing was coded
    std::vector<int32_t> spent;                          // (height, width), once `spend` was called

private:
    struct Scratch;
    template <typename Work>
    void over_tiles(size_t parity, const Work& work) const;
    void answer(const Tile& tile, Scratch& scratch);
    void open(const int32_t* low, const int32_t* above);
    void finish();
    void activate(const Tile& tile);
    void keep(const Tile& tile, size_t channel, const int32_t* values, Scratch& scratch);
    int32_t* totals(const Tile& tile) const;
    uint32_t* hidden(const Tile& tile) const;

    const DyadicLevelPlan& plan_;
    const DyadicLevel& level_;
    const Kernels& kernels_;
    size_t height_, width_, threads_;
    size_t cells_[2];
    std::vector<Tile> tiles_[2];
    PhaseMaps features_;  // of the current slice
    Buffer<int32_t> totals_;
    Buffer<uint32_t> hidden_;
    Buffer<int32_t> details_;
    const DyadicSlice* slice_ = nullptr;
    size_t pass_ = 0;
};

}  // namespace tessera
