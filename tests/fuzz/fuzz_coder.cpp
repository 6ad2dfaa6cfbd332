// Fuzz target of the coder: hostile streams must end in the same symbols or the same refusal on every path, and
// whatever is encoded must come back. Aborts otherwise; memory errors are the sanitizers' business.
//
// With libFuzzer (coverage-guided; clang):
//     clang++ -std=c++17 -g -O1 -fsanitize=fuzzer,address,undefined -I entropy/kernels
//         tests/fuzz/fuzz_coder.cpp $(ls entropy/kernels/*.cpp | grep -v bindings) -o fuzz_coder
//     ./fuzz_coder -max_len=4096 CORPUS_FOLDER
// Without (any compiler), the same target on files, and on a number of streams made and damaged at random:
//     g++ -std=c++17 -g -O1 -fsanitize=address,undefined -DTESSERA_FUZZ_MAIN -I entropy/kernels
//         tests/fuzz/fuzz_coder.cpp $(ls entropy/kernels/*.cpp | grep -v bindings) -o fuzz_coder
//     ./fuzz_coder FILE...          ./fuzz_coder --random COUNT SEED
//
// Input: byte 0: bits 0-1: 0 decode the rest, 1 encode the rest and decode, 2 or 3 the same with damage between; bit 2:
// wide tables; bits 3-5: log2 of the lanes. Byte 1: seed of tables and indices. Bytes 2-3: symbols, modulo 4096. Then
// the stream, or the symbols (4 bytes each, repeated); the first 3 bytes also say where the damage is and what.
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "coder.hpp"
#include "fuzz.hpp"

using namespace tessera;

namespace {

std::shared_ptr<const Tables> make_tables(Random& random, bool wide) {
    const uint32_t rows = 1 + random(5);
    std::vector<uint16_t> frequencies(rows * 256, 0);
    std::vector<int32_t> lows(rows), sizes(rows);
    for (uint32_t t = 0; t < rows; ++t) {
        sizes[t] = static_cast<int32_t>(2 + random(255));
        lows[t] = wide ? static_cast<int32_t>(random(0x7fffff00u)) - (random(2) ? 0x7fffffff : 0)
                       : static_cast<int32_t>(random(static_cast<uint32_t>(257 - sizes[t]))) - 127;
        uint16_t* row = frequencies.data() + t * 256;
        for (int32_t i = 0; i < sizes[t]; ++i) row[i] = 1;
        for (uint32_t left = 4096u - static_cast<uint32_t>(sizes[t]); left > 0;) {
            const uint32_t part = 1 + random(left);
            row[random(static_cast<uint32_t>(sizes[t]))] += static_cast<uint16_t>(part);
            left -= part;
        }
    }
    return std::make_shared<Tables>(frequencies.data(), rows, 256, lows.data(), sizes.data());
}

struct Plan {
    std::shared_ptr<const Tables> tables;
    std::vector<uint8_t> indices;
    std::vector<size_t> calls;
    unsigned lanes;
};

Plan make_plan(const uint8_t* head) {
    static std::shared_ptr<const Tables> cache[2][256];
    Random random{uint64_t{head[1]} + 1};
    std::shared_ptr<const Tables>& tables = cache[head[0] >> 2 & 1][head[1]];
    if (!tables) tables = make_tables(random, head[0] & 4);
    Plan plan{tables, {}, {}, 1u << ((head[0] >> 3 & 7) % 7)};
    random.state = uint64_t{head[1]} + 257;
    size_t left = (head[2] | size_t{head[3]} << 8) % 4096;
    plan.indices.resize(left);
    const auto rows = static_cast<uint32_t>(plan.tables->count());
    for (uint8_t& index : plan.indices) index = static_cast<uint8_t>(random(rows));
    while (left > 0) {
        plan.calls.push_back(1 + random(static_cast<uint32_t>(left)));
        left -= plan.calls.back();
    }
    return plan;
}

// Nothing when the stream is refused. Buffers are exactly as long as they need be: the sanitizer sees one byte more.
std::optional<std::vector<int32_t>> decode(const Plan& plan, const uint8_t* data, size_t size, const Kernels& kernels) {
    const std::vector<uint8_t> copy(data, data + size);
    std::vector<int32_t> symbols;
    try {
        Decoder decoder(plan.tables, copy.data(), copy.size(), kernels);
        size_t first = 0;
        for (size_t n : plan.calls) {
            const std::vector<uint8_t> indices(plan.indices.begin() + static_cast<ptrdiff_t>(first),
                                               plan.indices.begin() + static_cast<ptrdiff_t>(first + n));
            std::vector<int32_t> out(n);
            decoder.get(indices.data(), n, out.data());
            symbols.insert(symbols.end(), out.begin(), out.end());
            first += n;
        }
        decoder.finish();
    } catch (const CorruptStream&) {
        return std::nullopt;
    }
    return symbols;
}

std::vector<uint8_t> encode(const Plan& plan, const std::vector<int32_t>& symbols, const Kernels& kernels) {
    Encoder encoder(plan.tables, kernels, plan.lanes);
    size_t first = 0;
    for (size_t n : plan.calls) {
        const std::vector<int32_t> part(symbols.begin() + static_cast<ptrdiff_t>(first),
                                        symbols.begin() + static_cast<ptrdiff_t>(first + n));
        encoder.put(part.data(), plan.indices.data() + first, n);
        first += n;
    }
    return encoder.finish();
}

std::vector<int32_t> make_symbols(const Plan& plan, const uint8_t* data, size_t size) {
    std::vector<int32_t> symbols(plan.indices.size(), 0);
    for (size_t i = 0; i < symbols.size() && size > 0; ++i) {
        uint32_t value = 0;
        for (size_t k = 0; k < 4; ++k) value |= uint32_t{data[(4 * i + k) % size]} << 8 * k;
        const uint32_t inside = value >> 1 & 0xff;  // most values lie in their tables, as they do in life
        const int32_t low = plan.tables->low(plan.indices[i]);
        const auto held = static_cast<uint32_t>(plan.tables->size(plan.indices[i]) - 1);
        symbols[i] = value & 1 ? static_cast<int32_t>(value) : low + static_cast<int32_t>(inside % held);
    }
    return symbols;
}

std::vector<uint8_t> check_round_trip(const Plan& plan, const std::vector<int32_t>& symbols) {
    std::vector<uint8_t> stream;
    for (const Kernels* kernels : all_kernels()) {
        const std::vector<uint8_t> again = encode(plan, symbols, *kernels);
        if (!stream.empty() && stream != again) fail("two paths write different bytes");
        stream = again;
    }
    for (const Kernels* kernels : all_kernels()) {
        if (decode(plan, stream.data(), stream.size(), *kernels) != symbols) fail("a stream does not come back");
    }
    return stream;
}

void check_hostile(const Plan& plan, const uint8_t* data, size_t size) {
    const auto expected = decode(plan, data, size, scalar_kernels());
    for (const Kernels* kernels : all_kernels()) {
        if (decode(plan, data, size, *kernels) != expected) fail("two paths read different symbols");
    }
    if (!expected) return;
    Plan same = plan;
    same.lanes = 1u << (data[0] & 7);
    const std::vector<uint8_t> again = encode(same, *expected, scalar_kernels());
    if (again.size() != size || std::memcmp(again.data(), data, size) != 0) {
        fail("a stream is accepted that the encoder does not write");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 4) return 0;
    const Plan plan = make_plan(data);
    if ((data[0] & 3) == 0) {
        check_hostile(plan, data + 4, size - 4);
        return 0;
    }
    std::vector<uint8_t> stream = check_round_trip(plan, make_symbols(plan, data + 4, size - 4));
    if ((data[0] & 2) == 0 || size < 7) return 0;
    stream[(data[4] | size_t{data[5]} << 8) % stream.size()] ^= data[6];
    if (data[0] & 1) stream.resize(stream.size() - data[6] % stream.size());
    check_hostile(plan, stream.data(), stream.size());
    return 0;
}

#ifdef TESSERA_FUZZ_MAIN
// Feeds the target with a round trip, then with the sound stream and damaged copies of it.
void run_random(Random& random) {
    uint8_t head[4];
    for (uint8_t& byte : head) byte = static_cast<uint8_t>(random(256));
    head[3] = static_cast<uint8_t>(random(8) == 0 ? random(16) : random(4));
    std::vector<uint8_t> input(head, head + 4);
    for (uint32_t i = 1 + random(600); i > 0; --i) input.push_back(static_cast<uint8_t>(random(256)));
    input[0] = static_cast<uint8_t>((head[0] & 0xfc) | 1);
    LLVMFuzzerTestOneInput(input.data(), input.size());

    const Plan plan = make_plan(head);
    const std::vector<int32_t> symbols = make_symbols(plan, input.data() + 4, input.size() - 4);
    const std::vector<uint8_t> stream = encode(plan, symbols, scalar_kernels());
    input.assign(head, head + 4);
    input[0] &= 0xfc;
    input.insert(input.end(), stream.begin(), stream.end());
    LLVMFuzzerTestOneInput(input.data(), input.size());
    for (int damage = 0; damage < 6; ++damage) {
        std::vector<uint8_t> bad = input;
        const auto size = static_cast<uint32_t>(bad.size());
        const auto flip = static_cast<uint8_t>(1 + random(255));
        if (damage < 3 && size > 4) bad[4 + random(damage == 0 ? 1 : size - 4)] ^= flip;
        if (damage == 3) bad.resize(4 + random(size - 3));
        if (damage == 4) bad.push_back(static_cast<uint8_t>(random(256)));
        if (damage == 5) bad[2] = static_cast<uint8_t>(random(256));  // another number of symbols
        LLVMFuzzerTestOneInput(bad.data(), bad.size());
    }
}
#endif
