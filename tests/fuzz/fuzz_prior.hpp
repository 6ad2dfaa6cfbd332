// Levels of a prior made of the input: weights up to their bounds, biases, margins, numbers that they walk over.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include "prior.hpp"

#include "fuzz_input.hpp"

namespace {

using namespace tessera;

// -- walk -------------------------------------------------------------------------------------------------------------

struct Numbers {
    std::vector<int32_t> data;
    size_t outputs, inputs, side;
    Weights view() const { return {data.data(), outputs, inputs, side}; }
};

// Some rows are sparse, some small, some beyond a byte, and some spend all that the sum may hold on one weight.
Numbers make_weights(Random& random, size_t outputs, size_t inputs, size_t side, int32_t limit) {
    const size_t row = inputs * side * side;
    Numbers out{std::vector<int32_t>(outputs * row, 0), outputs, inputs, side};
    for (size_t o = 0; o < outputs; ++o) {
        auto room = static_cast<uint32_t>(kLargestSum / limit);
        const uint32_t style = random(4), sign = random(3);
        const auto put = [&](size_t i, uint32_t magnitude) {
            room -= magnitude;
            const bool negative = sign == 2 ? random(2) == 1 : sign == 1;
            out.data[o * row + i] = static_cast<int32_t>(negative ? 0u - magnitude : magnitude);
        };
        if (style == 3) {
            put(random(static_cast<uint32_t>(row)), room);
            continue;
        }
        for (size_t i = 0; i < row; ++i) {
            if (style == 0 && random(8) > 0) continue;
            put(i, random(std::min(room, style == 2 ? 1200u : 20u) + 1));
        }
    }
    return out;
}

std::vector<int32_t> make_biases(Random& random, size_t count) {
    std::vector<int32_t> out(count);
    for (int32_t& bias : out) {
        const auto any = static_cast<int32_t>(random(2 * kLargestSum + 1)) - kLargestSum;
        const int32_t end = random(2) ? kLargestSum : -kLargestSum;
        bias = random(8) == 0 ? end : any >> random(6);
    }
    return out;
}

// Of a coder's tables: (kRungs, kCostColumns).
std::vector<int32_t> make_costs(Random& random) {
    std::vector<int32_t> costs(kRungs * kCostColumns);
    for (int32_t& cost : costs) cost = static_cast<int32_t>(random(20000));
    for (size_t row = 0; row < kRungs; ++row) {
        costs[row * kCostColumns + 2 * kCostReach + 1] = -static_cast<int32_t>(random(255));
        costs[row * kCostColumns + 2 * kCostReach + 2] = static_cast<int32_t>(random(255));
    }
    return costs;
}

struct Plan {
    std::shared_ptr<Level> level;
    size_t height = 0, width = 0, slices = 0;
    std::vector<int32_t> bias, coarser, hints;
    std::vector<std::vector<int32_t>> answers;  // of each slice, twice
    std::vector<float> margins;
};

void check_refusals(Level& level, const Numbers& first, const Numbers& near, const Numbers& second) {
    Numbers heavy = second;
    heavy.data[0] = kLargestSum;
    try {
        level.add(first.view(), near.view(), heavy.view(), nullptr);
    } catch (const std::invalid_argument&) {
        return;
    }
    fail("weights are accepted whose sums pass the bound");
}

Plan make_plan(const Input& input) {
    Random random{uint64_t{input.data[1]} + 1};
    const size_t hidden = 4 * (1 + random(5)), coarse = 1 + random(9), slices = 1 + random(3);
    Plan plan;
    plan.level = std::make_shared<Level>(make_weights(random, hidden, coarse, 3, kLargestFeature).view());
    for (size_t s = 0; s < slices; ++s) {
        const size_t count = 1 + random(10), reach = s + 1 == slices ? 0 : 1 + 2 * random(2);
        const Numbers first = make_weights(random, count, hidden, 1, kLargestActivation);
        const Numbers near = make_weights(random, count, 1, 5, kLargestFeature);
        const Numbers second = make_weights(random, count, hidden + count, 1, kLargestActivation);
        check_refusals(*plan.level, first, near, second);
        const Numbers context = make_weights(random, hidden, count, std::max<size_t>(1, reach), kLargestFeature);
        const Weights view = context.view();
        plan.level->add(first.view(), near.view(), second.view(), reach ? &view : nullptr);
        for (int parity = 0; parity < 2; ++parity) plan.answers.push_back(make_biases(random, count));
    }
    const size_t heard = random(2) * (1 + random(6));
    if (heard > 0) plan.level->add_hints(make_weights(random, hidden, heard, 1, kLargestFeature).view());
    plan.height = input.side(0, 24, 100);
    plan.width = input.side(1, 24, 140);
    plan.slices = slices - (input.shorter() && slices > 1);
    plan.bias = make_biases(random, hidden);
    if (!input.less()) plan.coarser.resize(coarse * ((plan.height + 1) / 2) * ((plan.width + 1) / 2));
    for (size_t i = 0; i < plan.coarser.size(); ++i) plan.coarser[i] = input.integer(i);
    plan.hints.resize(heard * plan.height * plan.width);
    for (size_t i = 0; i < plan.hints.size(); ++i) plan.hints[i] = input.integer(i + 3);
    for (int i = 0; i < kRungs * kMargins; ++i) plan.margins.push_back(static_cast<float>(random(1000)) / 400.0f);
    return plan;
}

}  // namespace
