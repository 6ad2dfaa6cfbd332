// Fuzz target of the kernels of family `wavelet`: every path and number of threads must give the same bits, what is
// encoded must come back, and no symbols, scaled bands, corrections, weights or biases may lead out of bounds or to
// undefined arithmetic. Aborts otherwise; the sanitizers see the rest.
//
// With libFuzzer (coverage-guided; clang):
//     clang++ -std=c++17 -g -O1 -ffp-contract=off -fsanitize=fuzzer,address,undefined,float-cast-overflow
//         -I models/kernels -I entropy/kernels tests/fuzz/fuzz_kernels.cpp
//         $(ls models/kernels/*.cpp | grep -v bindings) -o fuzz_kernels
//     ./fuzz_kernels -max_len=4096 CORPUS_FOLDER
// Without (any compiler), see fuzz.hpp, with -DTESSERA_FUZZ_MAIN -pthread and without `fuzzer`.
//
// Input: byte 0: bits 0-1: 0 analyse and synthesise, 1 describe and merge a pyramid, 2 encode a walk and decode it, 3
// decode a walk of any symbols; bit 2: gray, or no coarser level; bit 3: one slice is left out; bit 4: a large picture.
// Byte 1: seed of weights, biases and the like. Bytes 2-3: height and width. Then symbols, or scaled bands: 4 bytes
// each, repeated.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "prior.hpp"
#include "pyramid.hpp"
#include "transform.hpp"

#include "fuzz_prior.hpp"

using namespace tessera;

namespace {

// -- transform --------------------------------------------------------------------------------------------------------

void check_analysis(const Input& input, const Frame& frame) {
    std::vector<uint8_t> pixels(frame.height * frame.width * frame.channels);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(input.word(i) >> 3);
    std::vector<float> scales(kBands);
    for (size_t i = 0; i < kBands; ++i) scales[i] = static_cast<float>(1 + input.word(i) % 1000) / 100.0f;
    const size_t cells = frame.rows() * frame.columns();
    agreed("two ways to analyse differ", [&](const Kernels& kernels, size_t threads) {
        std::vector<float> out(kBands * cells, 0.0f);
        float* bands[kBands];
        for (size_t i = 0; i < kBands; ++i) bands[i] = input.word(i) & 256 || i % 64 == 0 ? &out[i * cells] : nullptr;
        analyse(frame, pixels.data(), bands, scales.data(), threads, kernels);
        for (float x : out) {
            if (!(std::fabs(x) < 1e8f)) fail("analysis leaves the range");
        }
        return bits_of(out);
    });
}

void check_synthesis(const Input& input, const Frame& frame) {
    const size_t cells = frame.rows() * frame.columns();
    std::vector<int32_t> symbols(kBands * cells);
    std::vector<uint16_t> corrections(kBands * cells);
    std::vector<float> planes(3 * cells);
    for (size_t i = 0; i < symbols.size(); ++i) {
        symbols[i] = input.integer(i);
        // one in 256 is anything, infinite or no number too
        const uint32_t w = input.word(i);
        corrections[i] = static_cast<uint16_t>(w % 256 ? 0x3f80u | (w >> 16 & 0x807fu) : w >> 16);
    }
    for (size_t i = 0; i < planes.size(); ++i) planes[i] = input.real(i);
    Source sources[kBands] = {};
    for (size_t i = 0; i < kBands; ++i) {
        const uint32_t w = input.word(i);
        sources[i].scale = static_cast<float>(w % 1000) / 10.0f;
        if (w & 1024) sources[i].symbols = &symbols[i * cells];
        if (w & 2048) sources[i].correction = &corrections[i * cells];
        if (i % 64 == 0) sources[i].plane = &planes[i / 64 * cells];
    }
    agreed("two ways to synthesise differ", [&](const Kernels& kernels, size_t threads) {
        std::vector<uint8_t> pixels(frame.height * frame.width * frame.channels);
        synthesise(frame, sources, pixels.data(), threads, kernels);
        return pixels;
    });
}

void check_description(const Input& input) {
    const size_t planes = input.side(0, 20, 60), cells = input.side(1, 40, 255);
    std::vector<int32_t> values(planes * cells);
    std::vector<uint8_t> rungs(planes * cells);
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = input.integer(i);
        rungs[i] = static_cast<uint8_t>(input.word(i) % kRungs);
    }
    agreed("two ways to describe differ", [&](const Kernels& kernels, size_t threads) {
        std::vector<uint16_t> out(2 * planes * cells);
        describe(values.data(), rungs.data(), planes, cells, out.data(), threads, kernels);
        return out;
    });
}

void check_pyramid(const Input& input) {
    const size_t height = input.side(0, 20, 60), width = input.side(1, 20, 60), levels = input.word(5) % 5;
    std::vector<std::vector<int32_t>> symbols;
    std::vector<Details> details;
    std::vector<float> scales(9), low;
    for (size_t i = 0; i < 9; ++i) scales[i] = static_cast<float>(input.word(i) % 1000) / 10.0f;
    size_t h = height, w = width;
    for (size_t level = 0; level < levels; ++level) {
        h = (h + 1) / 2;
        w = (w + 1) / 2;
        symbols.emplace_back(9 * h * w);
        for (size_t i = 0; i < symbols.back().size(); ++i) symbols.back()[i] = input.integer(i + level);
        details.push_back({symbols.back().data(), scales.data()});
    }
    for (size_t i = 0; i < 3 * h * w; ++i) low.push_back(input.real(i));
    if (unpyramid(details, low.data(), height, width).size() != 3 * height * width) fail("a plane has another size");
}

// All that went in and came out.
struct Tape {
    std::vector<int32_t> symbols, low, values;
    std::vector<uint8_t> indices, low_indices, rungs;
    bool operator!=(const Tape& other) const {
        return symbols != other.symbols || low != other.low || values != other.values || indices != other.indices ||
               low_indices != other.low_indices || rungs != other.rungs;
    }
};

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& more) {
    to.insert(to.end(), more.begin(), more.end());
}

struct Pass {
    size_t slice;
    int parity;
    const int32_t* bias;
    size_t size;  // coefficients
};

// code(walk, pass, tape) for each pass of a walk.
template <typename Code>
Tape walk_over(const Plan& plan, const Kernels& kernels, size_t threads, const Code& code) {
    Tape tape;
    const int32_t* coarser = plan.coarser.empty() ? nullptr : plan.coarser.data();
    const int32_t* hints = plan.hints.empty() ? nullptr : plan.hints.data();
    Walk walk(plan.level, plan.height, plan.width, plan.bias.data(), coarser, hints, threads, {true, true}, kernels);
    for (size_t slice = 0; slice < plan.slices; ++slice) {
        for (int parity = 0; parity < 2; ++parity) {
            const int32_t* bias = plan.answers[2 * slice + static_cast<size_t>(parity)].data();
            const Pass pass{slice, parity, bias, plan.level->slices[slice].count * walk.cells(parity)};
            code(walk, pass, tape);
            if (walk.pass_size() != pass.size) fail("a pass has another size");
        }
        if (slice + 1 < plan.slices) walk.finish(slice);
    }
    const size_t count = plan.level->channels * plan.height * plan.width;
    tape.values.assign(walk.values(), walk.values() + count);
    tape.rungs.assign(walk.rungs(), walk.rungs() + count);
    for (size_t i = 0; i < count; ++i) {
        if (tape.rungs[i] >= kRungs || std::abs(int64_t{tape.values[i]}) > kLargest) fail("a value is out of range");
    }
    return tape;
}

Tape encode(const Input& input, const Plan& plan, const Kernels& kernels, size_t threads) {
    std::vector<float> scaled(plan.level->channels * plan.height * plan.width);
    for (size_t i = 0; i < scaled.size(); ++i) scaled[i] = input.real(i);
    return walk_over(plan, kernels, threads, [&](Walk& walk, const Pass& pass, Tape& tape) {
        std::vector<uint8_t> indices(pass.size), low_indices;
        std::vector<int32_t> symbols(pass.size), low;
        const bool wide = walk.answer_and_round(pass.slice, pass.parity, pass.bias, scaled.data(), plan.margins.data(),
                                                indices.data(), symbols.data());
        if (wide != (walk.wide() > 0)) fail("wide coefficients are miscounted");
        if (wide) walk.split_wide(symbols.data(), low, low_indices);
        append(tape.symbols, symbols);
        append(tape.low, low);
        append(tape.indices, indices);
        append(tape.low_indices, low_indices);
    });
}

// symbol(i) and low(i) give the i-th of the walk.
template <typename Symbol, typename Low>
Tape decode(const Plan& plan, const Kernels& kernels, size_t threads, const Symbol& symbol, const Low& low) {
    return walk_over(plan, kernels, threads, [&](Walk& walk, const Pass& pass, Tape& tape) {
        std::vector<uint8_t> indices(pass.size), low_indices;
        std::vector<int32_t> symbols(pass.size), none, parts;
        const bool wide = walk.answer(pass.slice, pass.parity, pass.bias, indices.data());
        if (wide) walk.split_wide(nullptr, none, low_indices);
        if (low_indices.size() != walk.wide()) fail("wide coefficients are miscounted");
        for (size_t i = 0; i < pass.size; ++i) symbols[i] = symbol(tape.symbols.size() + i);
        for (size_t i = 0; i < low_indices.size(); ++i) parts.push_back(low(tape.low.size() + i));
        append(tape.symbols, symbols);
        append(tape.low, parts);
        append(tape.indices, indices);
        append(tape.low_indices, low_indices);
        walk.take(symbols.data(), wide ? parts.data() : nullptr);
    });
}

void check_round_trip(const Input& input, const Plan& plan) {
    const Tape sent = agreed("two ways to encode differ", [&](const Kernels& kernels, size_t threads) {
        return encode(input, plan, kernels, threads);
    });
    const Tape got = agreed("two ways to decode differ", [&](const Kernels& kernels, size_t threads) {
        return decode(
            plan, kernels, threads, [&](size_t i) { return sent.symbols.at(i); },
            [&](size_t i) { return sent.low.at(i); });
    });
    if (got != sent) fail("a walk does not come back");
}

void check_hostile(const Input& input, const Plan& plan) {
    const auto symbol = [&](size_t i) { return input.integer(i); };
    const auto low = [&](size_t i) { return input.word(i) & 512 ? input.integer(i + 7) : int32_t{input.data[1] & 1}; };
    agreed("two ways to decode hostile symbols differ", [&](const Kernels& kernels, size_t threads) {
        return decode(plan, kernels, threads, symbol, low);
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 4) return 0;
    const Input input{data, size};
    if (input.kind() == 0) {
        const Frame frame{input.side(0, 40, 256), input.side(1, 40, 256), input.less() ? size_t{1} : size_t{3}};
        check_analysis(input, frame);
        check_synthesis(input, frame);
    } else if (input.kind() == 1) {
        check_description(input);
        check_pyramid(input);
    } else if (input.kind() == 2) {
        check_round_trip(input, make_plan(input));
    } else {
        check_hostile(input, make_plan(input));
    }
    return 0;
}

#ifdef TESSERA_FUZZ_MAIN
// The four kinds on the same numbers, one in eight large; sides of 1 to 3 as often as all others.
void run_random(Random& random) {
    std::vector<uint8_t> bytes(4 + random(600));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random(256));
    const bool large = random(8) == 0;
    for (size_t axis = 0; axis < 2 && !large; ++axis) {
        if (random(2)) bytes[2 + axis] = static_cast<uint8_t>(random(3));
    }
    for (int kind = 0; kind < 4; ++kind) {
        bytes[0] = static_cast<uint8_t>((bytes[0] & 0xec) | (large ? 16 : 0) | kind);
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
}
#endif
