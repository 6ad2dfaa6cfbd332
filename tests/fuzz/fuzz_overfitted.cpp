// Fuzz target of fitted pictures (overfitted.hpp): every path and number of threads must make the same calls of the
// coder, grids and pixels, what is put must come back, and no networks, values or symbols may lead out of bounds or to
// undefined arithmetic. Aborts otherwise; the sanitizers see the rest. Built and run as fuzz_kernels.cpp.
//
// Input: byte 0: bits 0-1: 0 put and read, 1 read any symbols, 2 a coder that refuses, 3 tensors that do not fit; bit 2:
// weights as large as sums allow; bit 3: small values only; bit 4: a large picture. Byte 1: operating point, channels
// and levels. Bytes 2-3: height and width. Then numbers, 4 bytes each, repeated.
#include "overfitted.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "frame.hpp"
#include "kernels.hpp"
#include "fuzz_input.hpp"
#include "fuzz_port.hpp"

namespace {

// The sizes of all tensors in the order of coding.
std::vector<size_t> sizes_of(const OperatingPoint& point, size_t levels, size_t channels) {
    const size_t n = point.inputs();
    std::vector<size_t> sizes{n * n, n, n * n, n, 2 * n, 2, 2 * n};
    for (size_t level = kFeatureLevels; level-- > 0;) {
        if (level + 1 >= levels) continue;
        size_t sources = 0;
        for (const GridShape& shape : grid_shapes(1, 1, levels)) sources += shape.level > level;
        sizes.insert(sizes.end(), {point.features * sources, point.features});
    }
    if (levels > 1) sizes.insert(sizes.end(), {4 * (levels - 1), 4 * (levels - 1)});
    sizes.insert(sizes.end(), {point.width * levels, point.width, channels * point.width, channels});
    for (size_t i = 0; i < point.windows; ++i) sizes.insert(sizes.end(), {9 * channels * channels, channels});
    sizes.push_back(channels * levels);
    return sizes;
}

struct Case {
    size_t height, width;
    std::vector<FittedTensor> tensors;
    std::unique_ptr<FittedNetworks> networks;
    std::vector<int16_t> values;  // of all grids
};

Case make_case(const Input& input) {
    const size_t point = input.data[1] % 3, channels = input.data[1] & 4 ? 3 : 1, levels = 1 + input.data[1] / 8 % 9;
    Case made{input.side(0, 9, 60), input.side(1, 9, 120), {}, nullptr, {}};
    size_t next = 0;
    for (size_t size : sizes_of(kPoints[point], levels, channels)) {
        FittedTensor tensor{std::vector<int32_t>(size), static_cast<int>(2 + input.word(next++) % 9)};
        for (int32_t& value : tensor.values) {
            const auto w = static_cast<int16_t>(input.word(next++));
            value = input.less() ? (w < 0 ? -kLargestWeight : kLargestWeight) : w >> 7;
        }
        made.tensors.push_back(std::move(tensor));
    }
    while (made.networks == nullptr) {
        try {
            made.networks = std::make_unique<FittedNetworks>(point, levels, channels, made.tensors);
        } catch (const std::invalid_argument&) {
            for (FittedTensor& tensor : made.tensors) {
                for (int32_t& value : tensor.values) value = value * 3 / 4;
            }
        }
    }
    size_t cells = 0;
    for (const GridShape& shape : grid_shapes(made.height, made.width, levels)) cells += shape.cells();
    for (size_t i = 0; i < cells; ++i) {
        const int32_t value = input.shorter() ? static_cast<int32_t>(input.word(i) & 3) - 1 : input.integer(i);
        made.values.push_back(static_cast<int16_t>(std::clamp(value, -kLargestValue, kLargestValue)));
    }
    return made;
}

// All that came out of a call.
struct Outcome {
    std::vector<int32_t> symbols, traced;
    std::vector<uint8_t> indices, tables, pixels;
    std::vector<int16_t> values;
    bool refused = false, damaged = false;
    bool operator!=(const Outcome& other) const {
        return symbols != other.symbols || traced != other.traced || indices != other.indices ||
               tables != other.tables || pixels != other.pixels || values != other.values ||
               refused != other.refused || damaged != other.damaged;
    }
};

// Puts the grids or gets them, and paints them.
Outcome run(const Case& made, Coder coder, bool puts, size_t threads, const FittedLoops& loops) {
    const SymbolPort port{&coder, &get, &put, nullptr};
    FittedGrids grids(made.height, made.width, made.networks->levels());
    if (puts) std::copy(made.values.begin(), made.values.end(), grids.values.get());
    FittedTrace trace;
    Outcome out;
    try {
        if (puts) {
            put_grids(*made.networks, grids, &port, &trace, loops);
        } else {
            read_grids(*made.networks, grids, port, &trace, loops);
        }
        out.values.assign(grids.values.get(), grids.values.get() + grids.first.back());
        out.pixels.resize(made.height * made.width * made.networks->channels());
        paint_grids(*made.networks, grids, out.pixels.data(), threads, loops);
        out.traced = trace.symbols;
        out.tables = trace.tables;
    } catch (const Refused&) {
        out.refused = true;
    } catch (const std::invalid_argument&) {
        out.damaged = true;
    }
    out.symbols = coder.symbols;
    out.indices = coder.indices;
    return out;
}

Outcome run_all(const Case& made, const Coder& coder, bool puts) {
    const auto loops = fitted_dispatch().available();
    const Outcome first = run(made, coder, puts, 1, *loops.front());
    for (const FittedLoops* each : loops) {
        if (run(made, coder, puts, 3, *each) != first) fail("two ways to code a fitted picture differ");
    }
    return first;
}

void check_misfits(const Case& made) {
    std::vector<std::vector<FittedTensor>> bad(6, made.tensors);
    bad[0].pop_back();
    bad[1].push_back(made.tensors.back());
    bad[2][0].values.pop_back();
    bad[3][1].bits = 17;
    bad[4][2].values[0] = kLargestWeight + 1;
    std::fill(bad[5][0].values.begin(), bad[5][0].values.end(), kLargestWeight);  // sums
    const FittedNetworks& fits = *made.networks;
    size_t point = 0;
    while (kPoints[point].inputs() != fits.point().inputs()) ++point;
    for (const std::vector<FittedTensor>& tensors : bad) {
        try {
            FittedNetworks(point, fits.levels(), fits.channels(), tensors);
        } catch (const std::invalid_argument&) {
            continue;
        }
        fail("tensors are accepted that do not fit");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 4) return 0;
    const Input input{data, size};
    const Case made = make_case(input);
    four_kinds(
        input, 0, [&](const Coder& coder) { return run_all(made, coder, true); },
        [&](const Coder& coder) { return run_all(made, coder, false); },
        [&](const Outcome& sent, const Outcome& got) {
            return got.values == made.values && got.pixels == sent.pixels && got.traced == sent.traced;
        },
        [&] { check_misfits(made); });
    return 0;
}

#ifdef TESSERA_FUZZ_MAIN
void run_random(Random& random) { feed(random, {600, 0xec, true, true}, {0, 1, 2, 3}); }
#endif
