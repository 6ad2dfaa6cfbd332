// Fuzz target of the walk of a prior and of the words of networks: every path and number of threads must give the same
// bits, what is encoded must come back, and no symbols, scaled bands, corrections, weights or biases may lead out of
// bounds or to undefined arithmetic. Aborts otherwise; the sanitizers see the rest.
//
// With libFuzzer (coverage-guided; clang):
//     clang++ -std=c++17 -g -O1 -ffp-contract=off -fsanitize=fuzzer,address,undefined,float-cast-overflow
//         -I models/kernels -I entropy/kernels tests/fuzz/fuzz_kernels.cpp
//         $(ls models/kernels/*.cpp | grep -v bindings) -o fuzz_kernels
//     ./fuzz_kernels -max_len=4096 CORPUS_FOLDER
// Without (any compiler), see fuzz.hpp, with -DTESSERA_FUZZ_MAIN -pthread and without `fuzzer`.
//
// Input: byte 0: bits 0-1: 0 or 1 words and corrections, 2 encode a walk and decode it, 3 decode a walk of any symbols;
// bit 2: no coarser level; bit 3: one slice is left out; bit 4: a large picture. Byte 1: seed of weights, biases and the
// like. Bytes 2-3: height and width. Then symbols, or scaled bands: 4 bytes each, repeated.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "prior.hpp"
#include "words.hpp"

#include "fuzz_prior.hpp"

using namespace tessera;

namespace {

// -- words ------------------------------------------------------------------------------------------------------------

// 0 .. limit, both of them now and then.
std::vector<int64_t> make_numbers(const Input& input, size_t count, int64_t limit) {
    std::vector<int64_t> out(count);
    for (size_t i = 0; i < count; ++i) {
        const uint32_t w = input.word(i);
        const int64_t any = static_cast<int64_t>((uint64_t{w} << 32 | input.word(i + count)) & ((uint64_t{1} << 62) - 1));
        out[i] = w % 8 == 0 ? limit : w % 8 == 1 ? 0 : any % (limit + 1) >> w % 40;
    }
    return out;
}

void check_words(const Input& input) {
    const size_t height = input.side(0, 20, 90), width = input.side(1, 20, 130), cells = height * width;
    const size_t channels = 1 + input.word(1) % 9, first = input.word(2) % 3, pitch = 3 * channels + 6 + 2 * first;
    std::vector<int32_t> values(std::max<size_t>(channels, 3) * cells);
    std::vector<uint8_t> bytes(channels * cells);
    for (size_t i = 0; i < values.size(); ++i) values[i] = input.integer(i);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(input.word(i) >> 9);
    std::vector<int16_t> table(1 + input.word(3) % 5000), entries(256);
    for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<int16_t>(input.word(i) >> 7);
    for (size_t i = 0; i < entries.size(); ++i) entries[i] = static_cast<int16_t>(input.word(i) >> 11);
    const std::vector<int64_t> scales = make_numbers(input, channels, kWordReciprocal);
    const std::vector<int64_t> windows = make_numbers(input, 10, kWordReciprocal);
    agreed("two ways to describe differ", [&](const Kernels& kernels, size_t threads) {
        std::vector<int16_t> out(cells * pitch, int16_t{7});
        const auto at = [&](size_t place) { return Cells{out.data() + first + place, cells, pitch}; };
        describe_integers(values.data(), channels, table.data(), table.size(), at(0), threads, kernels);
        describe_bytes(bytes.data(), channels, entries.data(), at(channels), threads, kernels);
        describe_scaled(values.data(), channels, scales.data(), table.data(), table.size(), at(2 * channels), threads,
                        kernels);
        describe_low(values.data(), height, width, windows.data(), table.data(), table.size(), input.integer(5),
                     at(3 * channels));
        for (size_t cell = 0; cell < cells; ++cell) {
            for (size_t i = 0; i < first; ++i) {
                if (out[cell * pitch + i] != 7 || out[(cell + 1) * pitch - 1 - i] != 7) fail("a word is out of place");
            }
        }
        return out;
    });
}

void check_corrections(const Input& input) {
    const size_t cells = input.side(0, 20, 90) * input.side(1, 20, 130), channels = 1 + input.word(1) % 9;
    const size_t pitch = 1 + input.word(2) % 12;
    std::vector<int16_t> corrections(cells * pitch);
    for (size_t i = 0; i < corrections.size(); ++i) corrections[i] = static_cast<int16_t>(input.word(i) >> 5);
    std::vector<size_t> bands(channels);
    std::vector<int32_t> planes(channels * cells);
    for (size_t i = 0; i < channels; ++i) bands[i] = input.word(i) % pitch;
    for (size_t i = 0; i < planes.size(); ++i) planes[i] = input.integer(i);
    const std::vector<int64_t> steps = make_numbers(input, pitch, int64_t{1} << 40);
    agreed("two ways to correct differ", [&](const Kernels& kernels, size_t threads) {
        std::vector<int32_t> out = planes;
        std::vector<Correction> all;
        for (size_t i = 0; i < channels; ++i) {
            int32_t* plane = out.data() + i * cells;
            all.push_back({input.word(i) % 5 == 0 ? nullptr : plane, plane, bands[i]});
        }
        add_corrections(corrections.data(), pitch, steps.data(), all, cells, threads, kernels);
        for (int32_t value : out) {
            if (std::abs(int64_t{value}) > kBandLimit) fail("a band is out of range");
        }
        return out;
    });
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
        const bool wide = walk.round(pass.slice, pass.parity, pass.bias, scaled.data(), plan.margins.data(),
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
        const bool wide = walk.tables(pass.slice, pass.parity, pass.bias, indices.data());
        if (wide) walk.split_wide(nullptr, none, low_indices);
        if (low_indices.size() != walk.wide()) fail("wide coefficients are miscounted");
        for (size_t i = 0; i < pass.size; ++i) symbols[i] = symbol(tape.symbols.size() + i);
        for (size_t i = 0; i < low_indices.size(); ++i) parts.push_back(low(tape.low.size() + i));
        append(tape.symbols, symbols);
        append(tape.low, parts);
        append(tape.indices, indices);
        append(tape.low_indices, low_indices);
        walk.update(symbols.data(), wide ? parts.data() : nullptr);
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
    if (input.kind() <= 1) {
        check_words(input);
        check_corrections(input);
    } else if (input.kind() == 2) {
        check_round_trip(input, make_plan(input));
    } else {
        check_hostile(input, make_plan(input));
    }
    return 0;
}

#ifdef TESSERA_FUZZ_MAIN
void run_random(Random& random) { feed(random, {600, 0xec, true, true}, {1, 2, 3}); }
#endif
