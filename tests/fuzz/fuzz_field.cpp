// Fuzz target of motion fields: whatever symbols a stream holds, vectors and modes stay in range, and what was read is
// recorded as the same calls and read back; a coder that refuses is not passed over. Aborts otherwise; the sanitizers see
// the rest. Built and run as fuzz_kernels.cpp is.
//
// Input: byte 0: bit 0: two fields; bits 1-2: a guess of each; bit 3: a coder that refuses. Byte 1: seed. Bytes 2-3: rows
// and columns. Then symbols: 2 bytes each, repeated; most are taken modulo 7.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "field.hpp"
#include "frame.hpp"

#include "fuzz.hpp"

using namespace tessera;

namespace {

struct Input {
    const uint8_t* data;
    size_t size;
    size_t side(size_t axis) const { return 1u + data[2 + axis] % 24u; }
    int32_t symbol(size_t i) const {
        uint32_t value = static_cast<uint32_t>(i) * 2654435761u;  // so that repeated bytes are not repeated symbols
        for (size_t k = 0; k < 2 && size > 4; ++k) value ^= uint32_t{data[4 + (2 * i + k) % (size - 4)]} << 8 * k;
        const uint32_t kind = value >> 28;
        return static_cast<int32_t>(kind == 0 ? value << 4 : kind < 4 ? value % 9000 - 4500 : value % 7);
    }
};

struct Coder {
    const Input* hostile;
    std::vector<int32_t> symbols;
    size_t at = 0, calls_left = SIZE_MAX;
};

bool get(void* port, const uint8_t* indices, size_t n, int32_t* out, PortFailure& failure) {
    Coder& coder = *static_cast<Coder*>(port);
    if (coder.calls_left-- == 0) {
        failure.kind = 7;
        return false;
    }
    for (size_t i = 0; i < n; ++i, ++coder.at) {
        if (indices[i] >= kMotionKinds) fail("a table that no map names");
        out[i] = coder.hostile != nullptr ? coder.hostile->symbol(coder.at) : coder.symbols.at(coder.at);
    }
    return true;
}

struct Motion {
    std::vector<int16_t> fields;
    std::vector<uint8_t> modes;
    MotionCalls calls;
};

class Case {
public:
    explicit Case(const Input& input)
        : input_(input), grid_{input.side(0), input.side(1)}, count_(input.data[0] & 1 ? 2 : 1) {
        Random random{uint64_t{input.data[1]} + 1};
        for (size_t number = 0; number < 2; ++number) {
            for (size_t i = 0; i < 2 * grid_.blocks(); ++i)
                guesses_[number].push_back(static_cast<int16_t>(random(4) ? random(3) : random(65536)));
        }
        for (size_t kind = 0; kind < kMotionKinds; ++kind) maps_[kind].assign(kContexts[kind], static_cast<uint8_t>(kind));
    }

    Motion read(Coder coder) const {
        const SymbolPort port{&coder, &get, nullptr, nullptr};
        const uint8_t* maps[kMotionKinds];
        for (size_t kind = 0; kind < kMotionKinds; ++kind) maps[kind] = maps_[kind].data();
        const int16_t* guesses[2] = {input_.data[0] & 2 ? guesses_[0].data() : nullptr,
                                     input_.data[0] & 4 ? guesses_[1].data() : nullptr};
        Motion found{std::vector<int16_t>(count_ * 2 * grid_.blocks()), std::vector<uint8_t>(grid_.blocks()), {}};
        read_motion(port, maps, grid_, count_, guesses, found.fields.data(), found.modes.data(), &found.calls);
        for (int16_t component : found.fields) {
            if (std::abs(component) > kVectorLimit) fail("a vector is out of range");
        }
        for (uint8_t mode : found.modes) {
            if (mode >= kMotionModes) fail("a mode is out of range");
        }
        return found;
    }

    // What an encoder of the same motion records must be read as that motion.
    void check_way_back(const Motion& found) const {
        const uint8_t* modes = count_ == 2 ? found.modes.data() : nullptr;
        MotionRecorder line;
        std::vector<int16_t> decoded(found.fields.size());
        std::vector<uint8_t> same(grid_.blocks());
        if (modes != nullptr) code_modes(line, grid_, modes, same.data());
        for (size_t number = 0; number < count_; ++number) {
            const auto context = static_cast<int32_t>(number);
            int32_t source = input_.data[0] & (2 << number) ? kGivenGuess : kNoGuess;
            line.code(kSource, &context, &source, 1);
            const size_t first = number * 2 * grid_.blocks();
            const int16_t* guess = source == kGivenGuess ? guesses_[number].data() : nullptr;
            code_field(line, grid_, found.fields.data() + first, modes, context, guess, decoded.data() + first);
        }
        const Motion again = read({nullptr, line.calls.symbols});
        if (again.fields != decoded || (modes != nullptr && again.modes != found.modes)) fail("motion does not come back");
        if (again.calls.lengths != line.calls.lengths || again.calls.kinds != line.calls.kinds) fail("other calls");
        for (size_t i = 0; i < decoded.size(); ++i) {
            const size_t number = i / (2 * grid_.blocks()), block = i / 2 % grid_.blocks();
            if (modes != nullptr && modes[block] == 1 - number) continue;
            if (decoded[i] != found.fields[i]) fail("a vector that counts is another");
        }
    }

private:
    const Input& input_;
    const Grid grid_;
    const size_t count_;
    std::vector<int16_t> guesses_[2];
    std::vector<uint8_t> maps_[kMotionKinds];
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 4) return 0;
    const Input input{data, size};
    const Case made(input);
    Coder coder{&input, {}};
    if (data[0] & 8) {
        coder.calls_left = data[1] % 2;
        try {
            made.read(coder);
        } catch (const Refused& refused) {
            if (refused.failure.kind != 7) fail("another failure");
            return 0;
        }
        fail("a coder's refusal is passed over");
    }
    made.check_way_back(made.read(coder));
    return 0;
}

#ifdef TESSERA_FUZZ_MAIN
void run_random(Random& random) { feed(random, {200, 0, false, false}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}); }
#endif
