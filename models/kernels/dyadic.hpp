// The walk of models/prior/dyadic_bands.py in integers: which tables code each coefficient of a level of a dyadic
// pyramid, and its sign. Twin: tests/support/dyadic_twin.py.
//
// The cells of a level lie in four phases: phase 2 * (y % 2) + x % 2 is every second row and column. The first pass of
// a slice codes phases 0 and 3, the second one phases 1 and 2; symbols of a pass are channel by channel, phase by phase,
// row by row.
//
// A row of a phase is worked on in runs, see dyadic_loops.hpp. Only the sums that all slices share are kept from pass to
// pass: each pass adds to the sums of its cells what the slice before has coded, and makes all else from them. Words
// that are zero for a whole run are left out. A run is BLANK as long as all its words were zero: its sums are the biases,
// are not written, and have the same answers everywhere.
#pragma once

#include <memory>
#include <vector>

#include "dyadic_loops.hpp"
#include "memory.hpp"
#include "prior.hpp"
#include "trellis.hpp"
#include "word_map.hpp"

namespace tessera {

constexpr size_t kPhases = 4;
constexpr size_t kAxes = 3;
constexpr size_t kAxisBands = 3;
constexpr size_t kDyadicBands = kAxes * kAxisBands;
constexpr size_t kParentWords = (kDyadicBands + 1) / 2;  // features of the coarser level have no signs: two a word
constexpr size_t kMostHidden = 1024;  // channels of a level, so that words have numbers of 16 bits

struct DyadicSlice {
    size_t start = 0, count = 0;
    size_t end() const { return start + count; }
    WordConv view[2], heads[2], context;  // view[1]: of neighbours, too; context.words 0: no slice follows
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
    WordConv first[kPhases];  // of the coarser details and the low plane
    std::vector<DyadicSlice> slices;
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
    std::vector<int64_t> half_steps;  // (9,)
    std::vector<float> inverse;       // (9,): 1 / half step
    int64_t reciprocal;              // of differences of the low plane
};

using Plane = std::unique_ptr<Buffer<int32_t>>;

class DyadicWalk {
public:
    // low (3, height, width): the low plane; above: half steps of the coarser level (9, ., .), null for zeros. The plan
    // outlives the walk.
    DyadicWalk(const DyadicLevelPlan& plan, const int32_t* low, const int32_t* above, size_t threads,
               const Kernels& kernels);

    // Begins a pass, in their order: names rungs and sign tables. Each needs the `store` of the one before.
    void begin(size_t pass);
    // Chooses the values of the pass and their quantisers: details (9, height, width).
    void round(const int32_t* details, Trellis& trellis);
    // Adds up what the values of the pass cost: costs (kQuantisers, kRungs, kCostColumns) of magnitudes, sign_costs
    // (kSignTables, 2).
    void spend(const int32_t* costs, const int32_t* sign_costs);
    // Takes the values of the pass.
    void store();

    // The pass: channels times cells.
    size_t size() const { return slice_->count * cells_[pass_ % 2]; }
    const uint8_t* rungs() const { return rungs_.get(); }
    const uint8_t* signs() const { return signs_.get(); }
    int32_t* values() const { return values_.get(); }
    uint8_t* quantisers() const { return quantisers_.get(); }

    // (9, height, width) half steps, zero where nothing was coded. The last call.
    Plane take_details() { return std::move(details_); }
    std::vector<int32_t> spent;  // (height, width), once `spend` was called

private:
    struct Row {
        size_t phase, y, count;
        size_t place;   // of its first cell in the pass
        size_t number;  // in the level
    };
    struct Scratch;

    // cells: so many are worth a thread.
    template <typename Work>
    void over_rows(size_t parity, size_t cells, const Work& work) const;
    template <typename Work>
    void over_rows(size_t parity, const Work& work) const;
    void describe(const int32_t* low);
    void take_parent(const int32_t* above);
    void answer_blank();
    void sum_up(const Row& row, size_t first, size_t cells, uint8_t& blank, int32_t* sums, Scratch& scratch) const;
    void answer(const Row& row, size_t first, size_t cells, uint8_t& blank, int32_t* sums, Scratch& scratch);
    void make_answers(size_t cells, Scratch& scratch) const;
    template <typename T>
    T* first_cell(T* planes, size_t band, const Row& row) const;

    const DyadicLevelPlan& plan_;
    const DyadicLevel& level_;
    const Kernels& kernels_;
    const DyadicLoops& loops_;
    size_t height_, width_, threads_, pitch_, most_;  // most_: channels of a slice
    size_t cells_[2] = {};
    std::vector<Row> rows_[2];
    WordMap described_;                // (axis, phase)
    std::unique_ptr<WordMap> parent_;  // (kParentWords,), null: zeros
    WordMap features_[2];              // (channel, phase) of the current slice and of the one before, in turns
    std::vector<Window> parent_windows_, low_windows_[kPhases], near_windows_[kPhases], context_windows_[kPhases];
    Buffer<int32_t> totals_;  // (row, run, hidden, cell)
    Buffer<uint8_t> rungs_, signs_, quantisers_;
    Buffer<int32_t> values_;
    std::vector<int32_t> distances_;  // of the pass, where it is rounded
    Plane details_;
    std::vector<uint8_t> blank_;               // whether the run that begins with a step of kRunStep cells is blank
    std::vector<int32_t> head_biases_;         // of the pass
    std::vector<uint8_t> blank_rungs_, blank_signs_;  // of the pass, by channel
    const DyadicSlice* slice_ = nullptr;
    size_t pass_ = 0;
};

}  // namespace tessera
