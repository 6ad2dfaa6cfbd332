#include "dyadic_frame.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

#include "exact.hpp"
#include "prior_tiles.hpp"

namespace tessera {
namespace {

void require(bool fits, const char* what) {
    if (!fits) throw std::invalid_argument(std::string(what) + " does not fit");
}

// Room for so many numbers as were ever asked for.
template <typename T>
class Room {
public:
    T* of(size_t count) {
        if (count > count_) buffer_ = std::make_unique<Buffer<T>>(count);
        count_ = std::max(count, count_);
        return buffer_ ? buffer_->get() : nullptr;
    }

private:
    size_t count_ = 0;
    std::unique_ptr<Buffer<T>> buffer_;
};

// What is named for the values of one pass: a rung, and a sign on table first_sign + signs[i].
struct PassTables {
    size_t count;
    const uint8_t *rungs, *signs;
    uint8_t first_sign;
};

// Tables of magnitudes by quantiser and rung.
struct MagnitudeTables {
    uint8_t of[kQuantisers][kRungs];
    explicit MagnitudeTables(uint8_t first_odd) {
        for (size_t rung = 0; rung < kRungs; ++rung) {
            const size_t even = rung - kPerOctave * static_cast<size_t>(shift_of(static_cast<int>(rung)));
            of[0][rung] = static_cast<uint8_t>(even);
            of[1][rung] = static_cast<uint8_t>(first_odd + std::min(even / 2, kOddTables - 1));
        }
    }
};

// The symbols of a pass: low bits of wide rungs, magnitudes, then the signs of what is not zero. Where `quantisers` is
// not null, the values are those of chains, see trellis.hpp, and their quantisers are read or written there.
class PassCoder {
public:
    PassCoder(const DyadicPlan& plan, const DyadicInputs& inputs)
        : port_(inputs.port),
          tables_(plan.first_odd),
          loops_(dyadic_dispatch().find(name_of(inputs.kernels.path))) {}

    void get(const PassTables& pass, int32_t* values, uint8_t* quantisers) {
        if (port_ == nullptr) {
            std::fill_n(values, pass.count, 0);
            if (quantisers != nullptr) std::fill_n(quantisers, pass.count, uint8_t{0});
            return;
        }
        name_rest(pass);
        if (!rest_indices_.empty()) get_symbols(*port_, rest_indices_, rest_);
        if (quantisers != nullptr) {
            get_chains(pass, values, quantisers);
        } else {
            uint8_t* indices = indices_.of(pass.count);
            for (size_t i = 0; i < pass.count; ++i) indices[i] = tables_.of[0][pass.rungs[i]];
            get_symbols(*port_, indices, pass.count, values);
            const int32_t* rest = rest_.data();
            if (!rest_indices_.empty()) join(pass.rungs, pass.count, values, rest);
        }
        uint8_t* listed = listed_.of(pass.count + kRunStep);
        const size_t coded = loops_.settle(values, pass.signs, pass.count, pass.first_sign, listed);
        int32_t* symbols = symbols_.of(coded + 1);
        symbols[coded] = 0;
        get_symbols(*port_, listed, coded, symbols);
        loops_.negate(values, symbols, pass.count);
    }

    void put(const PassTables& pass, const int32_t* values, const uint8_t* quantisers) {
        if (port_ == nullptr) return;
        name_rest(pass);
        int32_t* symbols = symbols_.of(pass.count);
        uint8_t* indices = indices_.of(pass.count);
        rest_.clear();
        for (size_t i = 0; i < pass.count; ++i) {
            const int32_t magnitude = values[i] < 0 ? -values[i] : values[i], shift = shift_of(pass.rungs[i]);
            symbols[i] = magnitude >> shift;
            indices[i] = tables_.of[quantisers == nullptr ? 0 : quantisers[i]][pass.rungs[i]];
            if (shift > 0) rest_.push_back(magnitude & ((1 << shift) - 1));
        }
        put_symbols(*port_, rest_indices_, rest_);
        const size_t chains = quantisers == nullptr ? std::max(pass.count, size_t{1}) : chains_of(pass.count);
        for (size_t first = 0; first < pass.count; first += chains) {
            put_symbols(*port_, indices + first, std::min(chains, pass.count - first), symbols + first);
        }
        uint8_t* listed = listed_.of(pass.count + 1);
        size_t coded = 0;
        for (size_t i = 0; i < pass.count; ++i) {
            listed[coded] = static_cast<uint8_t>(pass.first_sign + pass.signs[i]);
            symbols[coded] = values[i] < 0;
            coded += values[i] != 0;
        }
        put_symbols(*port_, listed, coded, symbols);
    }

private:
    // One value of each chain after the other: the lowest bits of those lead to the quantisers of the next ones.
    void get_chains(const PassTables& pass, int32_t* values, uint8_t* quantisers) {
        const size_t chains = chains_of(pass.count);
        uint8_t states[kMostChains] = {}, indices[kMostChains];
        const int32_t* rest = rest_.data();
        for (size_t first = 0; first < pass.count; first += chains) {
            const size_t here = std::min(chains, pass.count - first);
            const uint8_t* rungs = pass.rungs + first;
            int32_t* found = values + first;
            for (size_t j = 0; j < here; ++j) {
                quantisers[first + j] = states[j] % kQuantisers;
                indices[j] = tables_.of[states[j] % kQuantisers][rungs[j]];
            }
            get_symbols(*port_, indices, here, found);
            if (!rest_indices_.empty()) join(rungs, here, found, rest);
            for (size_t j = 0; j < here; ++j) states[j] = next_state(states[j], found[j]);
        }
    }

    // Tables of low bits.
    void name_rest(const PassTables& pass) {
        rest_indices_.clear();
        uint8_t widest = 0;
        for (size_t i = 0; i < pass.count; ++i) widest = std::max(widest, pass.rungs[i]);
        for (size_t i = 0; i < pass.count && widest > kLastWhole; ++i) {
            const int shift = shift_of(pass.rungs[i]);
            if (shift > 0) rest_indices_.push_back(static_cast<uint8_t>(kTables - 1 + shift));
        }
    }

    // Values of their high parts, in place, and of low bits.
    static void join(const uint8_t* rungs, size_t count, int32_t* values, const int32_t*& rest) {
        for (size_t i = 0; i < count; ++i) {
            const int shift = shift_of(rungs[i]);
            if (shift == 0) continue;
            const uint32_t high = static_cast<uint32_t>(values[i]) << shift;
            values[i] = static_cast<int32_t>(high | static_cast<uint32_t>(*rest++));
        }
    }

    static constexpr uint8_t kLastWhole = kTables - 1;  // rungs that are a table
    const SymbolPort* port_;
    MagnitudeTables tables_;
    const DyadicLoops& loops_;
    Room<uint8_t> indices_, listed_;
    Room<int32_t> symbols_;
    std::vector<uint8_t> rest_indices_;
    std::vector<int32_t> rest_;
};

// Rungs of the low band, and its signs: on the uniform table of one bit.
struct LowTables {
    std::vector<uint8_t> rungs, signs;
    explicit LowTables(const DyadicPlan& plan) {
        const size_t cells = plan.low_height() * plan.low_width();
        for (const uint8_t rung : plan.low_rungs) rungs.insert(rungs.end(), cells, rung);
        signs.assign(rungs.size(), 0);
    }
    PassTables pass() const { return {rungs.size(), rungs.data(), signs.data(), kTables}; }
};

// The plane of each axis that a low plane and the details of its level make; axes that are not coded stay zero.
Plane merged(const DyadicPlan& plan, const DyadicLevelPlan& level, const int32_t* low, const int32_t* symbols,
             size_t height, size_t width, const DyadicInputs& inputs) {
    const size_t cells = level.height * level.width, size = height * width;
    auto planes = std::make_unique<Buffer<int32_t>>(kAxes * size);
    std::fill_n(planes->get() + plan.channels * size, (kAxes - plan.channels) * size, 0);
    const Buffer<int32_t> details(plan.channels * kAxisBands * cells);
    restore(symbols, level.half_steps.data(), nullptr, plan.channels * kAxisBands, cells, details.get(), inputs.threads,
            inputs.kernels);
    in_parts(plan.channels, inputs.threads, 1, [&](size_t first, size_t last) {
        for (size_t axis = first; axis < last; ++axis) {
            exact_merge(low + axis * cells, details.get() + axis * kAxisBands * cells, height, width,
                        planes->get() + axis * size, inputs.kernels);
        }
    });
    return planes;
}

// What the values of a pass cost on rungs beside theirs is added to `sums`, one for each offset. Of many values only some
// are looked at, and count for all of them.
void weigh(const DyadicWalk& walk, const int32_t* rates, int64_t* sums) {
    const size_t step = (walk.size() + kWeighed - 1) / kWeighed;
    for (size_t i = 0; i < walk.size(); i += step) {
        const int32_t value = walk.values()[i], magnitude = value < 0 ? -value : value;
        const int32_t* of = rates + walk.quantisers()[i] * size_t{kRungs} * kRateColumns;
        for (int offset = -kOffsetReach; offset <= kOffsetReach; ++offset) {
            const int rung = std::clamp(walk.rungs()[i] + offset, 0, kRungs - 1);
            const size_t column = std::min(static_cast<size_t>(magnitude >> shift_of(rung)), kRateColumns - 1);
            sums[offset + kOffsetReach] += int64_t{of[static_cast<size_t>(rung) * kRateColumns + column]} *
                                           static_cast<int64_t>(step);
        }
    }
}

// Walks level by level: pass(walk, number of the level, number of the pass), between `begin` and `store` of every pass.
template <typename Pass>
void walk_levels(const DyadicPlan& plan, const DyadicInputs& inputs, DyadicFrame& frame, const Pass& pass) {
    const size_t low_cells = plan.low_height() * plan.low_width();
    auto low = std::make_unique<Buffer<int32_t>>(kAxes * low_cells);
    const std::vector<int64_t> steps(kAxes, plan.low_step);
    restore(frame.low.data(), steps.data(), nullptr, kAxes, low_cells, low->get(), 1, inputs.kernels);
    Plane above;
    for (size_t at = 0; at < plan.levels.size(); ++at) {
        const DyadicLevelPlan& level = plan.levels[at];
        const bool last = at + 1 == plan.levels.size();
        auto walk = std::make_unique<DyadicWalk>(level, low->get(), above ? above->get() : nullptr, inputs.threads,
                                                 inputs.kernels);
        for (size_t turn = 0; turn < level.passes.size(); ++turn) {
            walk->begin(turn);
            pass(*walk, at, turn);
            if (inputs.costs != nullptr) walk->spend(inputs.costs, inputs.sign_costs);
            walk->store();
        }
        if (above && inputs.keep) frame.details.push_back(std::move(above));
        above = walk->take_details();
        if (inputs.costs != nullptr) frame.spent.push_back(std::move(walk->spent));
        walk.reset();  // its memory serves what follows
        const size_t height = last ? plan.height : plan.levels[at + 1].height;
        const size_t width = last ? plan.width : plan.levels[at + 1].width;
        low = merged(plan, level, low->get(), above->get(), height, width, inputs);
    }
    if (inputs.keep) frame.details.push_back(std::move(above));
    frame.planes = std::move(low);
}

}  // namespace

void DyadicPlan::check() const {
    require(height > 0 && width > 0 && (channels == 1 || channels == kAxes), "the frame");
    require(!levels.empty() && low_rungs.size() == channels, "the low band");
    for (const uint8_t rung : low_rungs) require(rung < kRungs, "a rung of the low band");
    require(low_step > 0 && low_step < int64_t{1} << 31, "the step of the low band");
    require(first_sign + kSignTables <= 256, "the tables of signs");
    require(first_odd + kOddTables <= 256, "the tables of the odd quantiser");
    for (size_t at = 0; at < levels.size(); ++at) {
        const DyadicLevelPlan& plan = levels[at];
        const bool last = at + 1 == levels.size();
        const size_t below = last ? height : levels[at + 1].height, beside = last ? width : levels[at + 1].width;
        require(plan.level != nullptr && plan.height == (below + 1) / 2 && plan.width == (beside + 1) / 2, "a level");
        const DyadicLevel& level = *plan.level;
        require(plan.bias.size() == level.hidden, "a level's bias");
        check_biases(plan.bias.data(), plan.bias.size());
        require(plan.passes.size() == 2 * (channels == 1 ? kAxisBands : level.slices.size()), "a level's passes");
        require(level.channels == kDyadicBands && plan.passes.size() <= 2 * level.slices.size(), "a level's slices");
        for (size_t turn = 0; turn < plan.passes.size(); ++turn) {
            const DyadicSlice& slice = level.slices[turn / 2];
            const DyadicPass& pass = plan.passes[turn];
            require(pass.views.size() == level.view && pass.answers.size() == 2 * slice.count, "a pass's biases");
            check_biases(pass.views.data(), pass.views.size());
            check_biases(pass.answers.data(), pass.answers.size());
            require(turn + 2 >= plan.passes.size() || slice.context.words > 0, "a slice's context");
        }
        require(plan.half_steps.size() == kDyadicBands && plan.inverse.size() == kDyadicBands, "a level's steps");
        for (const int64_t step : plan.half_steps) require(step > 0 && step < int64_t{1} << 31, "a step");
        require(plan.reciprocal >= 0 && plan.reciprocal < int64_t{1} << 40, "a reciprocal");
    }
}

DyadicFrame read_dyadic(const DyadicPlan& plan, const DyadicInputs& inputs) {
    DyadicFrame frame;
    PassCoder coder(plan, inputs);
    const LowTables tables(plan);
    frame.low.resize(tables.rungs.size());
    coder.get(tables.pass(), frame.low.data(), nullptr);
    frame.low.resize(kAxes * plan.low_height() * plan.low_width(), 0);
    walk_levels(plan, inputs, frame, [&](DyadicWalk& walk, size_t, size_t) {
        coder.get({walk.size(), walk.rungs(), walk.signs(), plan.first_sign}, walk.values(), walk.quantisers());
    });
    return frame;
}

DyadicFrame code_dyadic(const DyadicPlan& plan, const DyadicInputs& inputs, const std::vector<const int32_t*>& details,
                        const int32_t* low, const int32_t* rates) {
    DyadicFrame frame;
    Trellis trellis(rates, dyadic_dispatch().find(name_of(inputs.kernels.path)));
    PassCoder coder(plan, inputs);
    const LowTables tables(plan);
    frame.low.assign(low, low + tables.rungs.size());
    for (int32_t& value : frame.low) value = std::clamp(value, -kLargest, kLargest);
    coder.put(tables.pass(), frame.low.data(), nullptr);
    frame.low.resize(kAxes * plan.low_height() * plan.low_width(), 0);
    size_t slices = 0;
    for (const DyadicLevelPlan& level : plan.levels) slices = std::max(slices, level.passes.size() / 2);
    if (inputs.weigh) frame.weighed.resize(plan.levels.size() * slices * kOffsets, 0);
    walk_levels(plan, inputs, frame, [&](DyadicWalk& walk, size_t at, size_t turn) {
        walk.round(details[at], trellis);
        if (inputs.weigh) weigh(walk, rates, &frame.weighed[(at * slices + turn / 2) * kOffsets]);
        coder.put({walk.size(), walk.rungs(), walk.signs(), plan.first_sign}, walk.values(), walk.quantisers());
    });
    return frame;
}

}  // namespace tessera
