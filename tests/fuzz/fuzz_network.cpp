// Fuzz target of integer networks: every path and number of threads must give the same numbers, and no layers, inputs,
// multipliers or offsets that pass the checks may lead out of bounds or to undefined arithmetic. Aborts otherwise; the
// sanitizers see the rest. Built and run as fuzz_kernels.cpp.
//
// Input: byte 0: bit 2: weights at the ends of their range; bit 3: multipliers and offsets too; bit 4: a large picture. Byte 1: layers. Bytes 2-3: height and
// width. Then numbers, 4 bytes each, repeated.
#include "network.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "kernels.hpp"
#include "network_loops.hpp"
#include "fuzz_input.hpp"

namespace {

// Numbers in the order of asking.
struct Source {
    const Input& input;
    size_t next = 0;
    uint32_t operator()() { return input.word(next++); }
    uint32_t operator()(uint32_t below) { return (*this)() % below; }
};

Range any_range(Source& source) {
    const int32_t limit = source(4) == 0 ? 32767 : source(2) == 0 ? kWinogradReach : 255;
    return {-static_cast<int32_t>(source(static_cast<uint32_t>(limit))), limit};
}

std::vector<int8_t> any_weights(Source& source, size_t count) {
    std::vector<int8_t> out(count);
    const uint32_t shift = source(8);
    for (int8_t& w : out) {
        w = static_cast<int8_t>(source());
        w = source.input.less() ? (w < 0 ? int8_t{-128} : int8_t{127}) : static_cast<int8_t>(w >> shift);
    }
    return out;
}

// Layers that fail the checks are left out.
Network any_network(Source& source) {
    Network network(1 + source(60), any_range(source));
    for (size_t left = source.input.data[1] % 8; left > 0; --left) {
        const size_t from = source(static_cast<uint32_t>(network.layers() + 1)), side = source(2) == 0 ? 1 : 3;
        const size_t add = source(2) == 0 ? 0 : source(static_cast<uint32_t>(network.layers() + 1));
        std::vector<int16_t> table(source(2) == 0 ? 0 : 1 + source(4096));
        for (int16_t& entry : table) entry = static_cast<int16_t>(source());
        const Range range = any_range(source);
        try {
            if (source(3) == 0) {
                const auto weights = any_weights(source, side * side * network.channels(from));
                network.depthwise(from, weights.data(), side, add, table, range);
            } else {
                const size_t outputs = add != 0 ? network.channels(add) : 1 + source(70);
                const auto weights = any_weights(source, outputs * side * side * network.channels(from));
                network.convolve(from, weights.data(), outputs, side, add, table, range);
            }
        } catch (const std::invalid_argument&) {
            continue;
        }
    }
    return network;
}

template <typename T>
std::vector<T> any_numbers(Source& source, size_t count) {
    std::vector<T> out(count);
    for (T& value : out) value = static_cast<T>(source());
    return out;
}

void check(const Network& network, Source& source, size_t height, size_t width) {
    const auto x = any_numbers<int16_t>(source, height * width * network.channels(0));
    std::vector<int32_t> multipliers(network.outputs());
    std::vector<int64_t> offsets(network.outputs());
    for (size_t i = 0; i < multipliers.size(); ++i) {
        multipliers[i] = static_cast<int32_t>(source()) >> (source.input.shorter() ? 0 : source(24));
        offsets[i] = int64_t{source.input.integer(source.next++)} * (int64_t{1} << 32) >> (3 + source(20));
        if (!source.input.shorter()) continue;
        if (source(2)) multipliers[i] = source(2) ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int32_t>::max();
        offsets[i] = source(2) ? kOffsetLimit : -kOffsetLimit;
    }
    const auto run = [&](const char* path, size_t threads) {
        std::vector<int16_t> y(height * width * network.channels(network.layers()));
        network.run(x.data(), height, width, multipliers.data(), offsets.data(), y.data(), threads,
                    network_dispatch().find(path));
        return y;
    };
    const auto out = agreed("two ways to run a network differ", [&](const Kernels& kernels, size_t threads) {
        return run(name_of(kernels.path), threads);
    });
    if (run(nullptr, 2) != out) fail("the fastest way to run a network differs");
    const Range& range = network.range(network.layers());
    for (int16_t y : out) {
        if (y < range.low || y > range.high) fail("an answer is out of range");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 4) return 0;
    const Input input{data, size};
    Source source{input};
    const Network network = any_network(source);
    const size_t height = input.side(0, 7, 20), width = input.side(1, 7, 110);
    check(network, source, height, width);
    return 0;
}

#ifdef TESSERA_FUZZ_MAIN
// Tame and wild weights and scales.
void run_random(Random& random) { feed(random, {600, 0, true, false}, {0, 4, 8, 12}); }
#endif
