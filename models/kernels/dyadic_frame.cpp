#include "dyadic_frame.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "exact.hpp"
#include "prior_tiles.hpp"

namespace tessera {
namespace {

void require(bool fits, const char* what) {
    if (!fits) throw std::invalid_argument(std::string(what) + " does not fit");
}

// The symbols of one pass, magnitudes first, low bits of wide rungs, then the signs of what is not zero.
class PassCoder {
public:
    PassCoder(const SymbolPort* port, const Kernels& kernels) : port_(port), kernels_(kernels) {}

    // values[i] with rungs[i], and a sign on table first_sign + signs[i].
    void get(const std::vector<uint8_t>& rungs, const std::vector<uint8_t>& signs, uint8_t first_sign,
             std::vector<int32_t>& values) {
        if (port_ == nullptr) {
            values.assign(rungs.size(), 0);
            return;
        }
        name(rungs);
        get_symbols(*port_, indices_, values);
        get_symbols(*port_, rest_indices_, rest_);
        const int32_t* rest = rest_.data();
        sign_indices_.clear();
        for (size_t i = 0; i < values.size(); ++i) {
            int32_t value = values[i];
            if (rungs[i] >= kTables) {
                value = static_cast<int32_t>(static_cast<uint32_t>(value) << shift_of(rungs[i]) |
                                             static_cast<uint32_t>(*rest++));
            }
            values[i] = std::clamp(value, 0, kLargest);
            if (value > 0) sign_indices_.push_back(static_cast<uint8_t>(first_sign + signs[i]));
        }
        get_symbols(*port_, sign_indices_, sign_symbols_);
        const int32_t* sign = sign_symbols_.data();
        for (int32_t& value : values) {
            if (value != 0 && (*sign++ & 1) != 0) value = -value;
        }
    }

    void put(const std::vector<uint8_t>& rungs, const std::vector<uint8_t>& signs, uint8_t first_sign,
             const std::vector<int32_t>& values) {
        if (port_ == nullptr) return;
        name(rungs);
        symbols_.resize(values.size());
        rest_.clear();
        sign_indices_.clear();
        sign_symbols_.clear();
        for (size_t i = 0; i < values.size(); ++i) {
            const int32_t value = values[i], magnitude = value < 0 ? -value : value, shift = shift_of(rungs[i]);
            symbols_[i] = magnitude >> shift;
            if (shift > 0) rest_.push_back(magnitude & ((1 << shift) - 1));
            if (value == 0) continue;
            sign_indices_.push_back(static_cast<uint8_t>(first_sign + signs[i]));
            sign_symbols_.push_back(value < 0);
        }
        put_symbols(*port_, indices_, symbols_);
        put_symbols(*port_, rest_indices_, rest_);
        put_symbols(*port_, sign_indices_, sign_symbols_);
    }

private:
    void name(const std::vector<uint8_t>& rungs) {
        const size_t whole = rungs.size() / kTile * kTile;
        indices_.resize(rungs.size());
        for (size_t i = 0; i < whole; i += kTile) kernels_.indices(&rungs[i], &indices_[i]);
        uint8_t last[kTile] = {}, named[kTile];
        std::copy(rungs.begin() + static_cast<std::ptrdiff_t>(whole), rungs.end(), last);
        kernels_.indices(last, named);
        std::copy_n(named, rungs.size() - whole, indices_.begin() + static_cast<std::ptrdiff_t>(whole));
        rest_indices_.clear();
        for (const uint8_t rung : rungs) {
            if (rung >= kTables) rest_indices_.push_back(static_cast<uint8_t>(kTables - 1 + shift_of(rung)));
        }
    }

    const SymbolPort* port_;
    const Kernels& kernels_;
    std::vector<uint8_t> indices_, rest_indices_, sign_indices_;
    std::vector<int32_t> symbols_, rest_, sign_symbols_;
};

// Rungs of the low band, and its signs: on the uniform table of one bit.
struct LowTables {
    std::vector<uint8_t> rungs, signs;
    explicit LowTables(const DyadicPlan& plan) {
        const size_t cells = plan.low_height() * plan.low_width();
        for (const uint8_t rung : plan.low_rungs) rungs.insert(rungs.end(), cells, rung);
        signs.assign(rungs.size(), 0);
    }
};

// The plane of each axis that a low plane and the details of its level make; axes that are not coded stay zero.
std::vector<int32_t> merged(const DyadicPlan& plan, const DyadicLevelPlan& level, const std::vector<int32_t>& low,
                            const int32_t* symbols, size_t height, size_t width, const DyadicInputs& inputs) {
    const size_t cells = level.height * level.width;
    std::vector<int32_t> planes(kAxes * height * width, 0);
    const Buffer<int32_t> details(plan.channels * kAxisBands * cells);
    restore(symbols, level.steps.data(), nullptr, plan.channels * kAxisBands, cells, details.get(), inputs.threads,
            inputs.kernels);
    in_parts(plan.channels, inputs.threads, 1, [&](size_t first, size_t last) {
        for (size_t axis = first; axis < last; ++axis) {
            exact_merge(low.data() + axis * cells, details.get() + axis * kAxisBands * cells, height, width,
                        planes.data() + axis * height * width, inputs.kernels);
        }
    });
    return planes;
}

// Walks level by level: pass(walk, number of the level), between `begin` and `store` of every pass.
template <typename Pass>
void walk_levels(const DyadicPlan& plan, const DyadicInputs& inputs, DyadicFrame& frame, const Pass& pass) {
    const size_t low_cells = plan.low_height() * plan.low_width();
    std::vector<int32_t> low(kAxes * low_cells);
    const std::vector<int64_t> steps(kAxes, plan.low_step);
    restore(frame.low.data(), steps.data(), nullptr, kAxes, low_cells, low.data(), 1, inputs.kernels);
    std::unique_ptr<DyadicWalk> above;
    for (size_t at = 0; at < plan.levels.size(); ++at) {
        const DyadicLevelPlan& level = plan.levels[at];
        const bool last = at + 1 == plan.levels.size();
        auto walk = std::make_unique<DyadicWalk>(level, low.data(), above ? above->details() : nullptr, inputs.threads,
                                                 inputs.kernels);
        for (size_t turn = 0; turn < level.passes.size(); ++turn) {
            walk->begin(turn);
            pass(*walk, at);
            if (inputs.costs != nullptr) walk->spend(inputs.costs, inputs.sign_costs);
            walk->store();
        }
        const size_t height = last ? plan.height : plan.levels[at + 1].height;
        const size_t width = last ? plan.width : plan.levels[at + 1].width;
        low = merged(plan, level, low, walk->details(), height, width, inputs);
        if (inputs.keep) {
            const size_t count = kDyadicBands * level.height * level.width;
            frame.details.emplace_back(walk->details(), walk->details() + count);
        }
        if (inputs.costs != nullptr) frame.spent.push_back(std::move(walk->spent));
        above = std::move(walk);
    }
    frame.planes = std::move(low);
}

}  // namespace

void DyadicPlan::check() const {
    require(height > 0 && width > 0 && (channels == 1 || channels == kAxes), "the frame");
    require(!levels.empty() && low_rungs.size() == channels, "the low band");
    for (const uint8_t rung : low_rungs) require(rung < kRungs, "a rung of the low band");
    require(low_step > 0 && low_step < int64_t{1} << 31, "the step of the low band");
    require(first_sign + kSignTables <= 256, "the tables of signs");
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
            require(turn + 2 >= plan.passes.size() || slice.context.outputs > 0, "a slice's context");
        }
        require(plan.steps.size() == kDyadicBands && plan.inverse.size() == kDyadicBands, "a level's steps");
        for (const int64_t step : plan.steps) require(step > 0 && step < int64_t{1} << 31, "a step");
        require(plan.reciprocal >= 0 && plan.reciprocal < int64_t{1} << 40, "a reciprocal");
    }
}

DyadicFrame read_dyadic(const DyadicPlan& plan, const DyadicInputs& inputs) {
    DyadicFrame frame;
    PassCoder coder(inputs.port, inputs.kernels);
    const LowTables tables(plan);
    coder.get(tables.rungs, tables.signs, kTables, frame.low);
    frame.low.resize(kAxes * plan.low_height() * plan.low_width(), 0);
    walk_levels(plan, inputs, frame, [&](DyadicWalk& walk, size_t) {
        coder.get(walk.rungs, walk.signs, plan.first_sign, walk.values);
    });
    return frame;
}

DyadicFrame code_dyadic(const DyadicPlan& plan, const DyadicInputs& inputs, const std::vector<const int32_t*>& details,
                        const int32_t* low, const float* margins) {
    DyadicFrame frame;
    PassCoder coder(inputs.port, inputs.kernels);
    const LowTables tables(plan);
    frame.low.assign(low, low + tables.rungs.size());
    for (int32_t& value : frame.low) value = std::clamp(value, -kLargest, kLargest);
    coder.put(tables.rungs, tables.signs, kTables, frame.low);
    frame.low.resize(kAxes * plan.low_height() * plan.low_width(), 0);
    walk_levels(plan, inputs, frame, [&](DyadicWalk& walk, size_t at) {
        walk.round(details[at], margins);
        coder.put(walk.rungs, walk.signs, plan.first_sign, walk.values);
    });
    return frame;
}

}  // namespace tessera
