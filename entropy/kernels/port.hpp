// A coder as another extension calls it, without Python in between: `_coder.Encoder.native` and `_coder.Decoder.native`
// make capsules of this name that hold a `SymbolPort`.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera {

constexpr const char* kSymbolPort = "tessera.SymbolPort 1";  // the number changes with the struct

// Why a call failed, for `raise`.
struct PortFailure {
    int kind = 0;
    char message[160] = {};
};

// `get` and `put` need no interpreter and throw nothing; what a coder cannot do they refuse. They return false when
// they fail, and fill in why. The coder behind `port` lives as long as the capsule.
struct SymbolPort {
    void* coder;
    bool (*get)(void* coder, const uint8_t* indices, size_t n, int32_t* out, PortFailure& failure);
    bool (*put)(void* coder, const int32_t* symbols, const uint8_t* indices, size_t n, PortFailure& failure);
    // Sets Python's error to the one that the coder's own methods raise. REQUIRES the interpreter's lock.
    void (*raise)(const PortFailure& failure);
};

}  // namespace tessera
