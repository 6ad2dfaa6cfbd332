// Fuzz target of the walk over a whole frame (frame.hpp): what is coded must come back with the same planes, every path
// and number of threads must make the same calls of the coder, integers and bits, and neither hostile symbols nor a
// coder that refuses may lead out of bounds. Aborts otherwise; the sanitizers see the rest. Build: see fuzz_kernels.cpp.
//
// Input: byte 0: bits 0-1: 0 code and read, 1 read any symbols, 2 a coder that refuses, 3 plans that do not fit; bits
// 2-4 and bytes 1-3 as of fuzz_kernels.cpp. Then symbols and scaled bands: 4 bytes each, repeated.
#include "frame.hpp"

#include "fuzz_prior.hpp"
#include "fuzz_port.hpp"

namespace {

// All that came out of a call.
struct Outcome {
    std::vector<int32_t> values, low, symbols;
    std::vector<uint8_t> rungs, indices;
    std::vector<uint32_t> bits;
    bool refused = false;
    bool operator!=(const Outcome& other) const {
        return values != other.values || low != other.low || symbols != other.symbols || rungs != other.rungs ||
               indices != other.indices || bits != other.bits || refused != other.refused;
    }
};

struct Case {
    Plan walk;  // of the finer level
    FramePlan frame;
    std::vector<std::vector<float>> scaled;
    std::vector<int32_t> low, costs;
};

// Two levels, the finer one of `make_plan`, and a low band.
Case make_case(const Input& input) {
    Case made{make_plan(input), {}, {}, {}, {}};
    Random random{uint64_t{input.data[1]} + 77};
    const Plan& fine = made.walk;
    const size_t channels = fine.level->coarse_channels, rows = (fine.height + 1) / 2, columns = (fine.width + 1) / 2;
    const size_t hidden = 4 * (1 + random(3));
    auto coarse = std::make_shared<Level>(make_weights(random, hidden, 2, 3, kLargestFeature).view());
    coarse->add(make_weights(random, channels, hidden, 1, kLargestActivation).view(),
                make_weights(random, channels, 1, 5, kLargestFeature).view(),
                make_weights(random, channels, hidden + channels, 1, kLargestActivation).view(), nullptr);
    const std::vector<int32_t> bias = make_biases(random, channels), other = make_biases(random, channels);
    std::vector<std::vector<int32_t>> answers(fine.answers.begin(), fine.answers.begin() + 2 * fine.slices);
    made.frame = {fine.height,
                  fine.width,
                  {{coarse, 1, rows, columns, make_biases(random, hidden), {bias, other}},
                   {fine.level, 0, fine.height, fine.width, fine.bias, answers}},
                  1,
                  rows,
                  columns,
                  {},
                  static_cast<uint8_t>(random(2) * 11)};
    for (uint32_t i = 1 + random(kLowPlanes); i > 0; --i) {
        made.frame.low_rungs.push_back(static_cast<uint8_t>(random(kRungs)));
    }
    made.frame.check();
    made.scaled = {std::vector<float>(channels * rows * columns),
                   std::vector<float>(fine.level->channels * fine.height * fine.width)};
    for (std::vector<float>& bands : made.scaled) {
        for (size_t i = 0; i < bands.size(); ++i) bands[i] = input.real(i);
    }
    made.low.resize(made.frame.low_rungs.size() * rows * columns);
    for (size_t i = 0; i < made.low.size(); ++i) made.low[i] = input.integer(i);
    made.costs = make_costs(random);
    return made;
}

// What work(inputs) makes with this coder.
template <typename Work>
Outcome outcome_of(const Case& made, Coder coder, const Kernels& kernels, size_t threads, bool counts,
                   const Work& work) {
    const SymbolPort port{&coder, &get, &put, nullptr};
    const int32_t* hints = made.walk.hints.empty() ? nullptr : made.walk.hints.data();
    const FrameInputs inputs{&port,   {nullptr, hints}, counts ? made.costs.data() : nullptr,
                             {true, true}, threads,     kernels};
    Outcome out;
    try {
        const Frame frame = work(inputs);
        for (const std::unique_ptr<Walk>& walk : frame.walks) {
            const size_t count = walk->level().channels * walk->height() * walk->width();
            out.values.insert(out.values.end(), walk->values(), walk->values() + count);
            out.rungs.insert(out.rungs.end(), walk->rungs(), walk->rungs() + count);
        }
        out.low = frame.low;
        out.bits = bits_of(frame.bits);
        if (counts && frame.bits.size() != made.frame.height * made.frame.width) fail("cells without bits");
    } catch (const Refused& refused) {
        if (refused.failure.kind != 7) fail("another failure");
        out.refused = true;
    }
    for (const int32_t value : out.values) {
        if (std::abs(int64_t{value}) > kLargest) fail("a value is out of range");
    }
    out.symbols = std::move(coder.symbols);
    out.indices = std::move(coder.indices);
    return out;
}

Outcome code(const Case& made, const Coder& coder) {
    return agreed("two ways to code a frame differ", [&](const Kernels& kernels, size_t threads) {
        return outcome_of(made, coder, kernels, threads, false, [&](const FrameInputs& inputs) {
            return code_frame(made.frame, inputs, {made.scaled[0].data(), made.scaled[1].data()}, made.low.data(),
                              made.walk.margins.data());
        });
    });
}

Outcome read(const Case& made, const Coder& coder) {
    return agreed("two ways to read a frame differ", [&](const Kernels& kernels, size_t threads) {
        return outcome_of(made, coder, kernels, threads, true,
                          [&](const FrameInputs& inputs) { return read_frame(made.frame, inputs); });
    });
}

void check_misfits(Case made) {
    std::vector<FramePlan> bad(6, made.frame);
    bad[0].levels[0].height += 1;
    bad[1].levels[1].bias.pop_back();
    bad[2].levels[1].answers[0].push_back(0);
    bad[3].low_rungs.assign(1, kRungs);
    bad[4].low_height = 0;
    bad[5].levels[0].answers.pop_back();
    for (const FramePlan& plan : bad) {
        try {
            plan.check();
        } catch (const std::invalid_argument&) {
            continue;
        }
        fail("a plan is accepted that does not fit");
    }
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
            return got.values == sent.values && got.rungs == sent.rungs && got.low == sent.low;
        },
        [&] { check_misfits(made); });
    return 0;
}

#ifdef TESSERA_FUZZ_MAIN
void run_random(Random& random) { feed(random, {600, 0xec, true, true}, {0, 1, 2, 3}); }
#endif
