// Symbols of one call to or from a coder of another extension.
#pragma once

#include <vector>

#include "port.hpp"

namespace tessera {

// A coder refused: what it said.
struct Refused {
    PortFailure failure;
};

// One symbol for each index. All throw Refused.
inline void get_symbols(const SymbolPort& port, const uint8_t* indices, size_t count, int32_t* symbols) {
    if (count == 0) return;
    Refused refused;
    if (!port.get(port.coder, indices, count, symbols, refused.failure)) throw refused;
}

inline void get_symbols(const SymbolPort& port, const std::vector<uint8_t>& indices, std::vector<int32_t>& symbols) {
    symbols.resize(indices.size());
    get_symbols(port, indices.data(), indices.size(), symbols.data());
}

inline void put_symbols(const SymbolPort& port, const uint8_t* indices, size_t count, const int32_t* symbols) {
    if (count == 0) return;
    Refused refused;
    if (!port.put(port.coder, symbols, indices, count, refused.failure)) throw refused;
}

inline void put_symbols(const SymbolPort& port, const std::vector<uint8_t>& indices,
                        const std::vector<int32_t>& symbols) {
    put_symbols(port, indices.data(), indices.size(), symbols.data());
}

}  // namespace tessera
