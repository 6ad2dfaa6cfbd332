// The walk of models/prior/bands.py in integers: which table codes each coefficient, for one frame.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels.hpp"
#include "memory.hpp"

namespace tessera {

constexpr size_t kMostSlices = 256;

inline size_t groups_of(size_t n) { return (n + 3) / 4; }

// An integer convolution as it comes from the weights file: (outputs, inputs, side, side).
struct Weights {
    const int32_t* data;
    size_t outputs, inputs, side;
};

// Throws std::invalid_argument unless inputs of magnitudes up to `limit` keep every output within kLargestSum.
void check_sums(const Weights& weights, int32_t limit);

// Packs inputs `from` .. `to` of the weights as a 1 x 1 convolution of (to - from) * side^2 bytes, channel by channel.
Conv pack(const Weights& weights, size_t from, size_t to);

struct Slice {
    size_t start = 0, count = 0, reach = 0;  // reach 0: no slice follows
    Conv first, second_hidden, second_near, context;
    std::vector<int32_t> near;  // (count, kNearTaps)
};

// The integers of one `prior.bands.Level`.
class Level {
public:
    // Throws std::invalid_argument when shapes do not fit or a sum could pass kLargestSum, as `add` does.
    explicit Level(const Weights& coarse);
    // Adds a slice, in coding order; `context` may be null. REQUIRES that no walk has begun, otherwise
    // std::logic_error.
    void add(const Weights& first, const Weights& near, const Weights& second, const Weights* context);
    // Adds the 1 x 1 convolution of the hints, which are known beside the coarser level. At most once, and as `add`
    // before any walk.
    void add_hints(const Weights& hints);

    size_t hidden = 0, coarse_channels = 0, hint_channels = 0, channels = 0;
    mutable std::atomic<bool> walked{false};
    Conv coarse, hints;
    std::vector<Slice> slices;
};

// A piece of row `y`: `count` cells of one parity, from place `j` of the row on. They stand at `at` in their tile. The
// first one is cell `x` of the row, the others follow two apart.
struct Run {
    uint32_t y, j, count, at, x;
};

// A byte per channel and cell, with a border of zeros. The two parities lie apart: cell x of row y at x / 2 of its
// parity. Most rows of fine bands are zero; those that may not be are marked.
class Maps {
public:
    Maps(size_t channels, size_t height, size_t width);
    void clear();
    void mark(size_t channel, size_t y) { marks_[channel * height_ + y].store(1, std::memory_order_relaxed); }
    // Whether rows y - reach .. y + reach around the rows first .. last may hold anything.
    bool holds(size_t channel, size_t first, size_t last, size_t reach) const;
    // Row y + dy of the parity that is (dy, dx) away from `parity`, shifted so that [j] is the neighbour of place j.
    const uint8_t* row(size_t channel, int parity, size_t y, int dy, int dx) const;
    uint8_t* row(size_t channel, int parity, size_t y);

private:
    size_t height_, rows_, pitch_;
    std::vector<uint8_t> bytes_;
    std::vector<std::atomic<uint8_t>> marks_;  // (channels, height); several threads may mark a row
};

// Planes that a walk makes for its caller.
struct Kept {
    bool values, rungs;
};

class Walk {
public:
    // bias (hidden,); coarser (coarse_channels, (height + 1) / 2, (width + 1) / 2) and hints (hint_channels, height,
    // width), null for zeros. REQUIRES a level whose slices are complete; height and width >= 1. Throws
    // std::invalid_argument when a bias passes kLargestSum, as `tables` does.
    Walk(std::shared_ptr<const Level> level, size_t height, size_t width, const int32_t* bias, const int32_t* coarser,
         const int32_t* hints, size_t threads, Kept keep, const Kernels& kernels);

    size_t cells(int parity) const { return cells_[parity]; }
    const Level& level() const { return *level_; }
    size_t height() const { return height_; }
    size_t width() const { return width_; }

    // Begins a pass and writes its tables, (count, cells), to `indices`; true when some rungs are wide. The second pass
    // reads the symbols that `update` got of the first. bias (count,).
    bool tables(size_t slice, int parity, const int32_t* bias, uint8_t* indices);

    // The same, and rounds the symbols of the pass: scaled (channels, height * width), cells in the order of the
    // passes.
    bool round(size_t slice, int parity, const int32_t* bias, const float* scaled, const float* margins,
               uint8_t* indices, int32_t* symbols);

    // The tables of the low parts of wide coefficients of this pass. Where `symbols` is not null (encoding), also the
    // low parts themselves, which are taken off `symbols`.
    void split_wide(int32_t* symbols, std::vector<int32_t>& low, std::vector<uint8_t>& low_indices) const;
    size_t wide() const;
    size_t pass_size() const { return pass_rungs_.size(); }

    // Ends a pass with its decoded symbols, any int32. The low parts (wide() of them) are put back into `symbols`, and
    // the sums are clipped, bit for bit as in models/prior/exchange.py. `symbols` is scratch afterwards. Where `costs`
    // (kRungs, kCostColumns) is not null, costs are added up for `spent`.
    void update(int32_t* symbols, const int32_t* low, const int32_t* costs = nullptr);

    // Adds the costs that `update` added up to every cell (height, width).
    void spent(int32_t* cells) const;

    // Ends the walk: only `values`, `rungs` and `spent` may follow.
    void settle();

    // Adds the symbols of a finished slice to the context of those that follow.
    void finish(size_t slice);

    // (channels, height, width); zero where nothing was coded. Null unless kept.
    int32_t* values() const { return values_ ? values_->get() : nullptr; }
    uint8_t* rungs() const { return rungs_ ? rungs_->get() : nullptr; }

private:
    struct Scratch;
    std::unique_ptr<Maps> enlarged(const int32_t* coarser) const;
    std::unique_ptr<Maps> described(const int32_t* hints) const;
    void begin(const int32_t* bias, const int32_t* coarser, const int32_t* hints);
    void activate(int parity, size_t tile);
    void near_groups(const Slice& slice, size_t tile, Scratch& scratch) const;
    void answers(const Slice& slice, int parity, const int32_t* bias, size_t tile, Scratch& scratch) const;
    bool gather(const Maps& maps, size_t channels, size_t reach, int parity, size_t tile, Scratch& scratch) const;
    void store(const Slice& slice, int parity, size_t channel, size_t tile, const int32_t* values);
    size_t tiles(int parity) const { return runs_[parity].size(); }
    uint32_t* hidden(int parity, size_t tile) const;
    int32_t* totals(int parity, size_t tile) const;
    template <typename Work>
    void over_tiles(int parity, const Work& work) const;

    std::shared_ptr<const Level> level_;
    const Kernels& kernels_;
    size_t height_, width_, threads_;
    size_t cells_[2];
    std::vector<std::vector<Run>> runs_[2];  // the runs of each tile, by parity
    Maps features_;                          // features of the current slice's symbols
    std::unique_ptr<Buffer<int32_t>> totals_;
    std::unique_ptr<Buffer<uint32_t>> hidden_;
    std::unique_ptr<Buffer<int32_t>> values_;
    std::unique_ptr<Buffer<uint8_t>> rungs_;
    // the current pass
    const Slice* slice_ = nullptr;
    int parity_ = 0;
    std::vector<uint8_t> pass_rungs_;  // (count, cells)
    std::vector<int32_t> spent_[2];    // bits of each cell, by parity, where costs are added up
};

}  // namespace tessera
