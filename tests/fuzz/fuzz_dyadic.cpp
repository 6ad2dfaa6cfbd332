// Fuzz target of whole dyadic pyramids (dyadic_frame.hpp): every path and number of threads must make the same calls of
// the coder and give the same integers, what is coded must be read back, and no weights within their bounds, symbols or
// planes may lead out of bounds or to undefined arithmetic. Aborts otherwise; the sanitizers see the rest. Build: see
// fuzz_kernels.cpp.
//
// Input: byte 0: bits 0-1: 0 code and read, 1 read any symbols, 2 a coder that refuses, 3 weights and plans that do not
// fit; bit 2: gray; bit 3: one level; bit 4: a large picture. Byte 1: seed of weights, biases and the like. Bytes 2-3:
// height and width. Then symbols and details: 4 bytes each, repeated.
#include "dyadic_frame.hpp"

#include "fuzz_prior.hpp"
#include "fuzz_port.hpp"

namespace {

// All that came out of a call.
struct Outcome {
    std::vector<int32_t> details, low, planes, spent, symbols;
    std::vector<uint8_t> indices;
    std::vector<int64_t> weighed;
    bool refused = false;
    bool operator!=(const Outcome& other) const {
        return details != other.details || low != other.low || planes != other.planes || spent != other.spent ||
               symbols != other.symbols || indices != other.indices || weighed != other.weighed || refused != other.refused;
    }
};

struct Case {
    DyadicPlan plan;
    std::vector<std::vector<int32_t>> details;
    std::vector<int32_t> low, costs, sign_costs, rates;
};

// The convolutions of one slice.
struct SliceWeights {
    Numbers view[2], near, heads[2], context;
    SliceWeights(Random& random, size_t hidden, size_t view_channels, size_t count)
        : view{make_weights(random, view_channels, hidden, 1, kLargestActivation),
               make_weights(random, view_channels, hidden, 1, kLargestActivation)},
          near(make_weights(random, view_channels, 2 * count, 5, kLargestFeature)),
          heads{make_weights(random, 2 * count, view_channels, 1, kLargestActivation),
                make_weights(random, 2 * count, view_channels, 1, kLargestActivation)},
          context(make_weights(random, hidden, 2 * count, 3, kLargestFeature)) {}
    void add_to(DyadicLevel& level, bool last) const {
        const Weights views[2] = {view[0].view(), view[1].view()}, answers[2] = {heads[0].view(), heads[1].view()};
        const Weights next = context.view();
        level.add(views, near.view(), answers, last ? nullptr : &next);
    }
};

// Gray bands one by one, those of colour in any slices.
std::vector<size_t> make_counts(Random& random) {
    std::vector<size_t> counts(kAxisBands, 1);
    for (size_t left = kDyadicBands - kAxisBands; left > 0;) {
        counts.push_back(1 + random(static_cast<uint32_t>(left)));
        left -= counts.back();
    }
    return counts;
}

std::shared_ptr<DyadicLevel> make_level(Random& random) {
    const size_t hidden = 4 * (1 + random(5)), view = 4 * (1 + random(3));
    auto level = std::make_shared<DyadicLevel>(
        make_weights(random, kPhases * hidden, kDyadicBands, 3, kLargestFeature).view(),
        make_weights(random, hidden, 2 * kAxes, 5, kLargestFeature).view());
    const std::vector<size_t> counts = make_counts(random);
    for (size_t s = 0; s < counts.size(); ++s) {
        SliceWeights(random, hidden, view, counts[s]).add_to(*level, s + 1 == counts.size());
    }
    return level;
}

DyadicLevelPlan make_level_plan(Random& random, size_t height, size_t width, bool gray) {
    DyadicLevelPlan plan{make_level(random), height, width, {}, {}, {}, {}, 0};
    plan.bias = make_biases(random, plan.level->hidden);
    const size_t slices = gray ? kAxisBands : plan.level->slices.size();
    for (size_t pass = 0; pass < 2 * slices; ++pass) {
        plan.passes.push_back({make_biases(random, plan.level->view),
                               make_biases(random, 2 * plan.level->slices[pass / 2].count)});
    }
    for (size_t band = 0; band < kDyadicBands; ++band) {
        plan.half_steps.push_back(1 + (int64_t{random(1u << 30)} >> random(30)));
        plan.inverse.push_back(65536.0f / static_cast<float>(plan.half_steps.back()));
    }
    plan.reciprocal = (int64_t{random(1u << 8)} << 32 | random(1u << 31)) >> random(40);
    return plan;
}

Case make_case(const Input& input) {
    Random random{uint64_t{input.data[1]} + 5};
    Case made;
    DyadicPlan& plan = made.plan;
    plan.height = input.side(0, 24, 90);
    plan.width = input.side(1, 24, 300);
    plan.channels = input.less() ? 1 : 3;
    for (size_t number = input.shorter() ? 1 : 3; number > 0; --number) {
        const auto side = [&](size_t pixels) { return ((pixels - 1) >> number) + 1; };
        plan.levels.push_back(make_level_plan(random, side(plan.height), side(plan.width), plan.channels == 1));
        const DyadicLevelPlan& level = plan.levels.back();
        std::vector<int32_t> details(kDyadicBands * level.height * level.width);
        for (size_t i = 0; i < details.size(); ++i) details[i] = input.integer(i + number);
        made.details.push_back(std::move(details));
    }
    for (size_t axis = 0; axis < plan.channels; ++axis) plan.low_rungs.push_back(static_cast<uint8_t>(random(kRungs)));
    plan.low_step = 1 + random(1u << 30);
    plan.first_sign = 78;
    plan.first_odd = 110;
    plan.check();
    made.low.resize(plan.channels * plan.low_height() * plan.low_width());
    for (size_t i = 0; i < made.low.size(); ++i) made.low[i] = input.integer(i);
    const uint32_t most = random(2) == 0 ? 20000 : kLargestRate + 1;
    for (size_t i = 0; i < kQuantisers * kRungs * kRateColumns; ++i) {
        made.rates.push_back(static_cast<int32_t>(random(most)));
    }
    for (size_t quantiser = 0; quantiser < kQuantisers; ++quantiser) {
        const std::vector<int32_t> costs = make_costs(random);
        made.costs.insert(made.costs.end(), costs.begin(), costs.end());
    }
    for (size_t i = 0; i < 2 * kSignTables; ++i) made.sign_costs.push_back(static_cast<int32_t>(random(200000)));
    return made;
}

// What work(inputs) makes with this coder.
template <typename Work>
Outcome outcome_of(const Case& made, Coder coder, const Kernels& kernels, size_t threads, bool counts,
                   const Work& work) {
    const SymbolPort port{&coder, &get, &put, nullptr};
    const DyadicInputs inputs{&port, true, !counts, counts ? made.costs.data() : nullptr, made.sign_costs.data(),
                              threads, kernels};
    Outcome out;
    try {
        const DyadicFrame frame = work(inputs);
        for (size_t at = 0; at < frame.details.size(); ++at) {
            const int32_t* from = frame.details[at]->get();
            out.details.insert(out.details.end(), from, from + made.details[at].size());
        }
        for (const std::vector<int32_t>& spent : frame.spent) {
            out.spent.insert(out.spent.end(), spent.begin(), spent.end());
        }
        const int32_t* planes = frame.planes->get();
        out.planes.assign(planes, planes + kAxes * made.plan.height * made.plan.width);
        out.low = frame.low;
        out.weighed = frame.weighed;
    } catch (const Refused& refused) {
        if (refused.failure.kind != 7) fail("another failure");
        out.refused = true;
    }
    for (const int32_t value : out.details) {
        if (std::abs(int64_t{value}) > kLargest) fail("a value is out of range");
    }
    out.symbols = std::move(coder.symbols);
    out.indices = std::move(coder.indices);
    return out;
}

Outcome code(const Case& made, const Coder& coder) {
    std::vector<const int32_t*> details;
    for (const std::vector<int32_t>& level : made.details) details.push_back(level.data());
    return agreed("two ways to code a pyramid differ", [&](const Kernels& kernels, size_t threads) {
        return outcome_of(made, coder, kernels, threads, false, [&](const DyadicInputs& inputs) {
            return code_dyadic(made.plan, inputs, details, made.low.data(), made.rates.data());
        });
    });
}

Outcome read(const Case& made, const Coder& coder) {
    return agreed("two ways to read a pyramid differ", [&](const Kernels& kernels, size_t threads) {
        return outcome_of(made, coder, kernels, threads, true,
                          [&](const DyadicInputs& inputs) { return read_dyadic(made.plan, inputs); });
    });
}

template <typename Work>
void expect_refusal(const char* what, const Work& work) {
    try {
        work();
    } catch (const std::invalid_argument&) {
        return;
    }
    fail(what);
}

void check_misfits(const Case& made) {
    std::vector<DyadicPlan> bad(13, made.plan);
    bad[0].levels[0].height += 1;
    bad[1].levels[0].bias.pop_back();
    bad[2].levels[0].bias[0] = kLargestSum + 1;
    bad[3].levels[0].passes[1].views[0] = -kLargestSum - 1;
    bad[4].levels[0].passes[2].answers.push_back(0);
    bad[5].levels[0].passes.pop_back();
    bad[6].levels[0].half_steps[8] = 0;
    bad[7].levels[0].half_steps[0] = int64_t{1} << 31;
    bad[8].levels[0].reciprocal = int64_t{1} << 40;
    bad[9].low_rungs[0] = kRungs;
    bad[10].low_step = int64_t{1} << 31;
    bad[11].first_sign = 256 - kSignTables + 1;
    bad[12].first_odd = 256 - kOddTables + 1;
    for (const DyadicPlan& plan : bad) expect_refusal("a plan is accepted that does not fit", [&] { plan.check(); });
}

// Each convolution takes what its sum may hold, and not one more.
void check_bounds(Random& random) {
    constexpr size_t kHidden = 4, kView = 4;
    const auto filled = [](Numbers numbers, int32_t limit, int32_t more) {
        std::fill(numbers.data.begin(), numbers.data.end(), 0);
        numbers.data.back() = -(kLargestSum / limit + more);
        return numbers;
    };
    const Numbers parent = make_weights(random, kPhases * kHidden, kDyadicBands, 3, kLargestFeature);
    const Numbers low = make_weights(random, kHidden, 2 * kAxes, 5, kLargestFeature);
    for (int32_t more = 0; more < 2; ++more) {
        const auto with = [&](const char* what, const auto& work) {
            if (more > 0) return expect_refusal(what, work);
            work();
        };
        with("coarser details", [&] { DyadicLevel(filled(parent, kLargestFeature, more).view(), low.view()); });
        with("a low plane", [&] { DyadicLevel(parent.view(), filled(low, kLargestFeature, more).view()); });
        for (int layer = 0; layer < 6; ++layer) {
            DyadicLevel level(parent.view(), low.view());
            SliceWeights slice(random, kHidden, kView, 1);
            Numbers* layers[] = {&slice.view[0], &slice.view[1], &slice.heads[0],
                                 &slice.heads[1], &slice.near,   &slice.context};
            *layers[layer] = filled(*layers[layer], layer < 4 ? kLargestActivation : kLargestFeature, more);
            with("weights are accepted whose sums pass the bound", [&] { slice.add_to(level, false); });
        }
    }
    expect_refusal("more channels are accepted than there are numbers", [&] {
        const size_t many = kMostHidden + 4;
        DyadicLevel(make_weights(random, kPhases * many, kDyadicBands, 3, kLargestFeature).view(),
                    make_weights(random, many, 2 * kAxes, 5, kLargestFeature).view());
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 4) return 0;
    const Input input{data, size};
    const Case made = make_case(input);
    four_kinds(
        input, input.data[1] % 4, [&](const Coder& coder) { return code(made, coder); },
        [&](const Coder& coder) { return read(made, coder); },
        [](const Outcome& sent, const Outcome& got) {
            return got.details == sent.details && got.low == sent.low && got.planes == sent.planes;
        },
        [&] {
            check_misfits(made);
            Random random{input.data[1]};
            check_bounds(random);
        });
    return 0;
}

#ifdef TESSERA_FUZZ_MAIN
void run_random(Random& random) { feed(random, {600, 0xec, true, true}, {0, 1, 2, 3}); }
#endif
