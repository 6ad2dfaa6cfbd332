// What the fuzz targets of walks share: a coder of their own. Comes after fuzz_input.hpp.
#pragma once

#include <vector>

#include "port.hpp"

namespace {

// A coder that keeps what is put, and gives it back, or gives what it is told to.
struct Coder {
    std::vector<int32_t> symbols;
    std::vector<uint8_t> indices;
    const Input* hostile = nullptr;
    size_t at = 0, calls_left = SIZE_MAX;
};

bool refused(Coder& coder, PortFailure& failure) {
    if (coder.calls_left-- > 0) return false;
    failure.kind = 7;
    return true;
}

bool get(void* port, const uint8_t* indices, size_t n, int32_t* out, PortFailure& failure) {
    Coder& coder = *static_cast<Coder*>(port);
    if (refused(coder, failure)) return false;
    for (size_t i = 0; i < n; ++i, ++coder.at) {
        if (coder.hostile != nullptr) {
            coder.indices.push_back(indices[i]);
            out[i] = coder.hostile->integer(coder.at);
        } else {
            if (coder.indices.at(coder.at) != indices[i]) fail("another table is asked for");
            out[i] = coder.symbols[coder.at];
        }
    }
    return true;
}

bool put(void* port, const int32_t* symbols, const uint8_t* indices, size_t n, PortFailure& failure) {
    Coder& coder = *static_cast<Coder*>(port);
    if (refused(coder, failure)) return false;
    coder.symbols.insert(coder.symbols.end(), symbols, symbols + n);
    coder.indices.insert(coder.indices.end(), indices, indices + n);
    return true;
}

// The four kinds of inputs of a target that codes and reads: code and read, read any symbols, a coder that refuses after
// `calls`, and what `misfits` finds. code(coder) and read(coder) return outcomes; back(sent, got): whether it came back.
template <typename Code, typename Read, typename Back, typename Misfits>
void four_kinds(const Input& input, size_t calls, const Code& code, const Read& read, const Back& back,
                const Misfits& misfits) {
    Coder coder;
    if (input.kind() == 0) {
        const auto sent = code(coder);
        coder.symbols = sent.symbols;
        coder.indices = sent.indices;
        if (!back(sent, read(coder))) fail("what was coded does not come back");
    } else if (input.kind() == 1) {
        coder.hostile = &input;
        read(coder);
    } else if (input.kind() == 2) {
        coder.hostile = &input;
        coder.calls_left = calls;
        if (!read(coder).refused || !code(coder).refused) fail("a coder's refusal is passed over");
    } else {
        misfits();
    }
}

}  // namespace
