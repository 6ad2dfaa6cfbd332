// The walk over the cells of a fitted picture's grids: strips of 16 rows, each row three columns behind the one above, so
// that the cells of a step do not depend on each other.
#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "frame.hpp"
#include "overfitted.hpp"

namespace tessera {
namespace {

constexpr size_t kAbove = 3;                          // rows above a strip that its cells look at
constexpr size_t kBehind = 9;                         // steps that a cell looks back, at most
constexpr size_t kChunk = 64;                         // steps between two moves of the window
constexpr size_t kPitch = 32;                         // numbers of a step: kAbove + kStripRows, rounded up
constexpr size_t kCell = 8;                           // numbers of a cell's features, rounded up
constexpr size_t kHalfRows = kStripRows / 2;

int16_t input_of(int32_t value) { return static_cast<int16_t>(std::clamp(64 * value, -kClip15, kClip15)); }

// Features of a strip: of each cell of the next coarser level, which its four cells share.
class StripFeatures {
public:
    StripFeatures(const FittedNetworks& networks, const FittedGrids& grids, size_t number, const FittedLoops& loops)
        : grids_(grids), loops_(loops), count_(networks.point().features) {
        const GridShape& shape = grids.shapes[number];
        if (shape.hyper || shape.level >= kFeatureLevels || shape.level + 1 >= networks.levels()) return;
        layer_ = &networks.features[shape.level];
        level_ = shape.level + 1;
        for (size_t level = level_; level < networks.levels(); ++level) {
            sources_.push_back(grids.find(level, false));
            if (level >= kFirstHyper) sources_.push_back(grids.find(level, true));
        }
        width_ = (shape.width + 1) / 2;
        const size_t wide = fitted_blocks(width_);
        row_.assign(wide, 0);
        sums_.assign(wide * count_, 0);
        cells_.assign(kHalfRows * width_ * kCell, 0);
    }

    void begin(size_t top, size_t rows) {
        if (layer_ == nullptr) return;
        for (size_t half = 0; half < (rows + 1) / 2; ++half) make_row(top / 2 + half, cells_.data() + half * width_ * kCell);
    }

    // Those of a step: row r in column t - kLag * r, for r in first..last.
    void gather(size_t t, size_t first, size_t last, int16_t* out) const {
        if (layer_ == nullptr) return;
        for (size_t r = first; r <= last; ++r) {
            const int16_t* cell = cells_.data() + ((r / 2) * width_ + (t - kLag * r) / 2) * kCell;
            for (size_t f = 0; f < count_; ++f) out[f * kStripRows + r] = cell[f];
        }
    }

private:
    void make_row(size_t y, int16_t* cells) {
        const size_t wide = row_.size();
        for (size_t f = 0; f < count_; ++f) std::fill_n(sums_.data() + f * wide, wide, layer_->biases[f]);
        for (size_t j = 0; j < sources_.size(); ++j) {
            const GridShape& shape = grids_.shapes[sources_[j]];
            const size_t up = shape.level - level_;
            const int16_t* from = grids_.grid(sources_[j]) + (y >> up) * shape.width;
            for (size_t x = 0; x < width_; ++x) row_[x] = 64 * from[x >> up];
            for (size_t f = 0; f < count_; ++f)
                loops_.add_scaled(row_.data(), layer_->weights[f * sources_.size() + j], width_, sums_.data() + f * wide);
        }
        for (size_t f = 0; f < count_; ++f) {
            const int32_t* sums = sums_.data() + f * wide;
            for (size_t x = 0; x < width_; ++x)
                cells[x * kCell + f] = static_cast<int16_t>(std::clamp(sums[x] >> layer_->shift, -kClip15, kClip15));
        }
    }

    const FittedGrids& grids_;
    const FittedLoops& loops_;
    const FittedLayer* layer_ = nullptr;  // none: all are 0
    size_t count_, level_ = 0, width_ = 0;
    std::vector<size_t> sources_;  // numbers of the grids
    std::vector<int32_t> row_, sums_;
    std::vector<int16_t> cells_;
};

// What a strip's cells look at, as inputs of the network: of step t, the rows from kAbove above the strip, each in the
// column of that step.
class StripWindow {
public:
    StripWindow(const GridShape& shape, const int16_t* grid) : shape_(shape), grid_(grid), values_(kSteps * kPitch, 0) {}

    void begin(size_t top) {
        top_ = top;
        at_ = kBehind;
        std::fill(values_.begin(), values_.end(), int16_t{0});
        for (size_t back = 1; back <= kBehind; ++back) look_above(-static_cast<ptrdiff_t>(back), at_ - back);
    }

    const int16_t* at() const { return values_.data() + at_ * kPitch; }

    // Ends step t, whose cells have these values, 0 where there is none.
    void push(size_t t, const int32_t* values) {
        int16_t* to = values_.data() + at_ * kPitch + kAbove;
        for (size_t r = 0; r < kStripRows; ++r) to[r] = input_of(values[r]);
        look_above(static_cast<ptrdiff_t>(t), at_);
        if (++at_ < kSteps) return;
        std::memmove(values_.data(), values_.data() + (kSteps - kBehind) * kPitch, kBehind * kPitch * sizeof(int16_t));
        at_ = kBehind;
    }

private:
    static constexpr size_t kSteps = kBehind + kChunk;

    void look_above(ptrdiff_t t, size_t at) {
        if (top_ == 0) return;
        for (size_t i = 1; i <= kAbove; ++i) {
            const ptrdiff_t x = t + static_cast<ptrdiff_t>(kLag * i);
            const bool inside = x >= 0 && x < static_cast<ptrdiff_t>(shape_.width);
            values_[at * kPitch + kAbove - i] = inside ? input_of(grid_[(top_ - i) * shape_.width + x]) : int16_t{0};
        }
    }

    const GridShape& shape_;
    const int16_t* grid_;
    std::vector<int16_t> values_;
    size_t top_ = 0, at_ = 0;
};

// One step of a grid: the cells of rows first..last of the strip.
struct Step {
    size_t top, t, first, last;
    size_t count() const { return last - first + 1; }
    size_t cell(size_t r, size_t width) const { return (top + r) * width + t - kLag * r; }
};

// Calls code(step, prediction, values) for every step that has cells; it fills in, or looks up, values[first..last].
template <typename Code>
void walk_grid(const FittedNetworks& networks, FittedGrids& grids, size_t number, const FittedLoops& loops,
               const Code& code) {
    const GridShape& shape = grids.shapes[number];
    StripFeatures beside(networks, grids, number, loops);
    StripWindow window(shape, grids.grid(number));
    ContextNetwork context = networks.context;
    for (size_t k = 0; k < context.spatial; ++k) {
        const int dy = kPlaces[k][0], dx = kPlaces[k][1];
        const auto pitch = static_cast<ptrdiff_t>(kPitch), above = static_cast<ptrdiff_t>(kAbove);
        context.places[k] = (dx + static_cast<ptrdiff_t>(kLag) * dy) * pitch + above + dy;
    }
    int16_t features[kMostFeatures * kStripRows] = {};
    Prediction prediction;
    for (size_t top = 0; top < shape.height; top += kStripRows) {
        const size_t rows = std::min(kStripRows, shape.height - top), steps = shape.width + kLag * (rows - 1);
        beside.begin(top, rows);
        window.begin(top);
        for (size_t t = 0; t < steps; ++t) {
            const size_t late = t < shape.width ? 0 : t - shape.width + 1;
            const Step step{top, t, (late + kLag - 1) / kLag, std::min(rows - 1, t / kLag)};
            int32_t values[kStripRows] = {};
            if (step.first <= step.last) {
                beside.gather(t, step.first, step.last, features);
                loops.predict(context, window.at(), features, prediction);
                code(step, prediction, values);
            }
            window.push(t, values);
        }
    }
}

void keep(FittedTrace* trace, const FittedGrids& grids, size_t number, const Step& step, const Prediction& prediction,
          const int32_t* symbols) {
    if (trace == nullptr) return;
    for (size_t r = step.first; r <= step.last; ++r) {
        const size_t at = grids.first[number] + step.cell(r, grids.shapes[number].width);
        trace->symbols[at] = symbols[r];
        trace->tables[at] = prediction.tables[r];
    }
}

void begin(FittedTrace* trace, const FittedGrids& grids) {
    if (trace == nullptr) return;
    trace->symbols.assign(grids.first.back(), 0);
    trace->tables.assign(grids.first.back(), 0);
}

void read_grid(const FittedNetworks& networks, FittedGrids& grids, size_t number, const SymbolPort& port,
               FittedTrace* trace, const FittedLoops& loops) {
    int16_t* grid = grids.grid(number);
    const size_t width = grids.shapes[number].width;
    walk_grid(networks, grids, number, loops, [&](const Step& step, const Prediction& prediction, int32_t* values) {
        int32_t symbols[kStripRows];
        get_symbols(port, prediction.tables + step.first, step.count(), symbols + step.first);
        keep(trace, grids, number, step, prediction, symbols);
        for (size_t r = step.first; r <= step.last; ++r) {
            // modulo 2^32: the values that are allowed come of no other symbol
            const uint32_t sign = static_cast<uint32_t>(prediction.signs[r]);
            const uint32_t value = static_cast<uint32_t>(prediction.means[r]) + sign * static_cast<uint32_t>(symbols[r]);
            if (value + kLargestValue > 2 * kLargestValue) throw std::invalid_argument("a value of a grid is out of range");
            values[r] = static_cast<int32_t>(value);
            grid[step.cell(r, width)] = static_cast<int16_t>(value);
        }
    });
}

void put_grid(const FittedNetworks& networks, FittedGrids& grids, size_t number, const SymbolPort* port,
              FittedTrace* trace, const FittedLoops& loops) {
    const int16_t* grid = grids.grid(number);
    const size_t width = grids.shapes[number].width;
    walk_grid(networks, grids, number, loops, [&](const Step& step, const Prediction& prediction, int32_t* values) {
        int32_t symbols[kStripRows];
        for (size_t r = step.first; r <= step.last; ++r) {
            values[r] = grid[step.cell(r, width)];
            symbols[r] = prediction.signs[r] * (values[r] - prediction.means[r]);
        }
        keep(trace, grids, number, step, prediction, symbols);
        if (port != nullptr) put_symbols(*port, prediction.tables + step.first, step.count(), symbols + step.first);
    });
}

}  // namespace

void read_grids(const FittedNetworks& networks, FittedGrids& grids, const SymbolPort& port, FittedTrace* trace,
                const FittedLoops& loops) {
    begin(trace, grids);
    for (size_t number = 0; number < grids.shapes.size(); ++number)
        read_grid(networks, grids, number, port, trace, loops);
}

void put_grids(const FittedNetworks& networks, FittedGrids& grids, const SymbolPort* port, FittedTrace* trace,
               const FittedLoops& loops) {
    begin(trace, grids);
    for (size_t number = 0; number < grids.shapes.size(); ++number)
        put_grid(networks, grids, number, port, trace, loops);
}

}  // namespace tessera
