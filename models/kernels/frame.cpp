#include "frame.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace tessera {
namespace {

int32_t bounded(int32_t v) { return std::clamp(v, -kLargest, kLargest); }

// A coder, and the symbols and tables of one pass.
class Line {
public:
    explicit Line(const FrameInputs& inputs, uint8_t first_table) : port_(inputs.port), first_table_(first_table) {}

    std::vector<uint8_t> indices;
    std::vector<int32_t> symbols;
    std::vector<uint8_t> rest_indices;
    std::vector<int32_t> rest;

    void begin(size_t size) {
        indices.resize(size);
        symbols.resize(size);
        rest_indices.clear();
        rest.clear();
    }

    void get() {
        name_tables();
        get_symbols(*port_, indices, symbols);
        get_symbols(*port_, rest_indices, rest);
    }

    void put() {
        if (port_ == nullptr) return;
        name_tables();
        put_symbols(*port_, indices, symbols);
        put_symbols(*port_, rest_indices, rest);
    }

private:
    // all of them are on the ladder; the uniform tables of `rest` stay where they are
    void name_tables() {
        if (first_table_ == 0) return;
        for (uint8_t& index : indices) index = static_cast<uint8_t>(index + first_table_);
    }

    const SymbolPort* port_;
    uint8_t first_table_;
};

// Tables of the low band.
void begin_low(const FramePlan& plan, Line& line) {
    const size_t cells = plan.low_height * plan.low_width;
    line.begin(plan.low_rungs.size() * cells);
    auto* to = line.indices.data();
    for (const uint8_t rung : plan.low_rungs) {
        const int shift = shift_of(rung);
        to = std::fill_n(to, cells, static_cast<uint8_t>(rung - kPerOctave * shift));
        if (shift > 0) line.rest_indices.insert(line.rest_indices.end(), cells, static_cast<uint8_t>(kTables - 1 + shift));
    }
}

void read_low(const FramePlan& plan, Line& line, int32_t* low) {
    begin_low(plan, line);
    line.get();
    const size_t cells = plan.low_height * plan.low_width;
    const int32_t* rest = line.rest.data();
    for (size_t i = 0; i < line.symbols.size(); ++i) {
        const int shift = shift_of(plan.low_rungs[i / cells]);
        uint32_t whole = static_cast<uint32_t>(line.symbols[i]) << shift;
        if (shift > 0) whole |= static_cast<uint32_t>(*rest++);
        low[i] = bounded(static_cast<int32_t>(whole));
    }
}

void put_low(const FramePlan& plan, Line& line, const int32_t* given, int32_t* low) {
    begin_low(plan, line);
    const size_t cells = plan.low_height * plan.low_width;
    for (size_t i = 0; i < line.symbols.size(); ++i) {
        const int shift = shift_of(plan.low_rungs[i / cells]);
        low[i] = bounded(given[i]);
        line.symbols[i] = low[i] >> shift;
        if (shift > 0) line.rest.push_back(low[i] & ((1 << shift) - 1));
    }
    line.put();
}

// Walks level by level: pass(walk, plan, level, slice, parity, bias, size of the pass).
template <typename Pass>
void walk_levels(const FramePlan& plan, const FrameInputs& inputs, Frame& frame, const Pass& pass) {
    const int32_t* coarser = nullptr;
    for (size_t at = 0; at < plan.levels.size(); ++at) {
        const LevelPlan& level = plan.levels[at];
        const Kept kept = level.number == 0 ? inputs.kept : Kept{true, true};
        frame.walks.push_back(std::make_unique<Walk>(level.level, level.height, level.width, level.bias.data(), coarser,
                                                     inputs.hints[at], inputs.threads, kept, inputs.kernels));
        Walk& walk = *frame.walks.back();
        for (size_t turn = 0; turn < level.answers.size(); ++turn) {
            const size_t slice = turn / 2;
            const auto parity = static_cast<int>(turn % 2);
            pass(walk, at, slice, parity, level.answers[turn].data(), level.answers[turn].size() * walk.cells(parity));
            if (parity == 1 && turn + 1 < level.answers.size()) walk.finish(slice);
        }
        walk.settle();
        coarser = walk.values();
    }
}

// Bits of every cell of the frame: those of coarse coefficients in equal parts on the cells that they stand for.
class Share {
public:
    Share(size_t height, size_t width) : height_(height), width_(width), bits_(height * width, 0.0f) {}

    // cells (rows, columns), in 1 / kCostUnit bits, of the level of this number
    void add(const std::vector<int32_t>& cells, size_t columns, size_t number) {
        const size_t side = size_t{1} << number;
        for (size_t y = 0; y < height_; ++y) {
            const size_t high = std::min(side, height_ - (y >> number << number));
            const int32_t* row = cells.data() + (y >> number) * columns;
            float* to = bits_.data() + y * width_;
            for (size_t x = 0; x < width_; ++x) {
                const size_t wide = std::min(side, width_ - (x >> number << number));
                to[x] += static_cast<float>(row[x >> number]) / static_cast<float>(high * wide * kCostUnit);
            }
        }
    }

    std::vector<float> take() { return std::move(bits_); }

private:
    size_t height_, width_;
    std::vector<float> bits_;
};

// Finest level first, the low band last, as the twin adds them up.
std::vector<float> bits_of(const FramePlan& plan, const Frame& frame, const int32_t* costs) {
    Share share(plan.height, plan.width);
    for (size_t at = plan.levels.size(); at-- > 0;) {
        const LevelPlan& level = plan.levels[at];
        std::vector<int32_t> cells(level.height * level.width, 0);
        frame.walks[at]->spent(cells.data());
        share.add(cells, level.width, level.number);
    }
    const size_t size = plan.low_height * plan.low_width;
    std::vector<int32_t> cells(size, 0);
    for (size_t i = 0; i < plan.low_rungs.size() * size; ++i) {
        cells[i % size] += cost_of(costs, plan.low_rungs[i / size], frame.low[i]);
    }
    share.add(cells, plan.low_width, plan.low_number);
    return share.take();
}

Frame empty_frame(const FramePlan& plan) {
    Frame frame;
    frame.low.assign(kLowPlanes * plan.low_height * plan.low_width, 0);
    return frame;
}

void require(bool fits, const char* what) {
    if (!fits) throw std::invalid_argument(std::string(what) + " does not fit");
}

}  // namespace

void FramePlan::check() const {
    constexpr size_t kMostNumber = 16;
    const auto fits = [&](size_t number, size_t rows, size_t columns) {
        return number <= kMostNumber && (height - 1) >> number < rows && (width - 1) >> number < columns;
    };
    require(height > 0 && width > 0, "the frame");
    require(fits(low_number, low_height, low_width) && low_rungs.size() <= kLowPlanes, "the low band");
    for (const uint8_t rung : low_rungs) require(rung < kRungs, "a rung of the low band");
    require(first_table + kTables <= 256, "the ladder");
    const LevelPlan* above = nullptr;
    for (const LevelPlan& level : levels) {
        require(level.level != nullptr && fits(level.number, level.height, level.width), "a level");
        require(level.bias.size() == level.level->hidden, "a level's bias");
        if (above != nullptr) {
            require(above->level->channels == level.level->coarse_channels, "a level above another");
            require(above->height == (level.height + 1) / 2 && above->width == (level.width + 1) / 2, "a level above");
        }
        require(level.answers.size() % 2 == 0 && level.answers.size() / 2 <= level.level->slices.size(), "a slice");
        for (size_t turn = 0; turn < level.answers.size(); ++turn) {
            require(level.answers[turn].size() == level.level->slices[turn / 2].count, "a slice's bias");
        }
        above = &level;
    }
}

Frame read_frame(const FramePlan& plan, const FrameInputs& inputs) {
    Frame frame = empty_frame(plan);
    Line line(inputs, plan.first_table);
    read_low(plan, line, frame.low.data());
    walk_levels(plan, inputs, frame, [&](Walk& walk, size_t, size_t slice, int parity, const int32_t* bias, size_t size) {
        line.begin(size);
        const bool wide = walk.tables(slice, parity, bias, line.indices.data());
        if (wide) walk.split_wide(nullptr, line.rest, line.rest_indices);
        line.get();
        walk.update(line.symbols.data(), wide ? line.rest.data() : nullptr, inputs.costs);
    });
    if (inputs.costs != nullptr) frame.bits = bits_of(plan, frame, inputs.costs);
    return frame;
}

Frame code_frame(const FramePlan& plan, const FrameInputs& inputs, const std::vector<const float*>& scaled,
                 const int32_t* low, const float* margins) {
    Frame frame = empty_frame(plan);
    Line line(inputs, plan.first_table);
    put_low(plan, line, low, frame.low.data());
    walk_levels(plan, inputs, frame,
                [&](Walk& walk, size_t at, size_t slice, int parity, const int32_t* bias, size_t size) {
                    line.begin(size);
                    const bool wide = walk.round(slice, parity, bias, scaled[at], margins,
                                                            line.indices.data(), line.symbols.data());
                    if (wide) walk.split_wide(line.symbols.data(), line.rest, line.rest_indices);
                    line.put();
                });
    return frame;
}

}  // namespace tessera
