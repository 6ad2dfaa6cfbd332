// Symbols of one call to or from a coder of another extension.
#pragma once

#include <vector>

#include "port.hpp"

namespace tessera {

// A coder refused: what it said.
struct Refused {
    PortFailure failure;
};

// One symbol for each index. Both throw Refused.
inline void get_symbols(const SymbolPort& port, const std::vector<uint8_t>& indices, std::vector<int32_t>& symbols) {
    symbols.resize(indices.size());
    if (indices.empty()) return;
    Refused refused;
    if (!port.get(port.coder, indices.data(), indices.size(), symbols.data(), refused.failure)) throw refused;
}

inline void put_symbols(const SymbolPort& port, const std::vector<uint8_t>& indices,
                        const std::vector<int32_t>& symbols) {
    if (indices.empty()) return;
    Refused refused;
    if (!port.put(port.coder, symbols.data(), indices.data(), indices.size(), refused.failure)) throw refused;
}

}  // namespace tessera
