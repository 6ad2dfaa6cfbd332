// The inner loops, once per instruction set. Every set gives the same bytes; tests compare them all.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dispatch.hpp"
#include "tables.hpp"

namespace tessera {

constexpr uint32_t kLowest = 1u << 16;  // states live in [kLowest, 2^32)
constexpr unsigned kMaxLanes = 64;
constexpr size_t kBlock = 8192;          // symbols per kernel call: what one block touches stays in the L1/L2 caches
constexpr size_t kReadPadding = 2 * kMaxLanes;   // words that must be readable beyond Words::end
constexpr size_t kWritePadding = 2 * kMaxLanes;  // words that must be writable below the output

struct Resolved {
    uint64_t cost;  // about the bits of the symbols, in units of 2^-12
    size_t escapes;  // entries with kEscapeFlag
};

// A bounded reader: `next` may pass `end` by one step's words at most, within the padding; the caller then refuses.
struct Words {
    const uint16_t* next;
    const uint16_t* end;
};

struct Kernels {
    Path path;

    // n <= kBlock symbols to encoding entries; `escapes` (room for n) gets the places of those with kEscapeFlag, in
    // order. REQUIRES indices < tables.count().
    Resolved (*resolve)(const Tables& tables, const int32_t* symbols, const uint8_t* indices, size_t n,
                        uint32_t* entries, uint16_t* escapes);

    // Encodes steps * lanes entries from the last to the first; words go below `out`; returns the new `out`.
    uint16_t* (*encode)(uint32_t* states, unsigned lanes, const uint32_t* entries, size_t steps, uint16_t* out);

    // Decodes steps * lanes symbols: `out` gets the signed byte of each decoding entry. Stops after the step in which
    // words.next passes words.end. Returns the smallest byte seen. REQUIRES indices < tables.count().
    int32_t (*decode)(const Tables& tables, uint32_t* states, unsigned lanes, const uint8_t* indices, size_t steps,
                      int32_t* out, Words& words);
};

// One coding step of the whole file, plain: these two functions define the arithmetic.
inline void encode_one(uint32_t& state, uint32_t entry, uint16_t*& out) {
    const uint32_t frequency = entry >> 20;
    if (state >= entry >> 20 << 20) {  // frequency * 2^20: coding would leave 32 bits
        *--out = static_cast<uint16_t>(state);
        state >>= 16;
    }
    state = (state / frequency << kPrecision) + state % frequency + (entry >> 8 & 0xfff);
}

inline int32_t decode_one(const uint32_t* decoding, uint32_t& state, uint8_t index, Words& words) {
    const uint32_t entry = decoding[size_t{index} << kPrecision | (state & (kTotal - 1))];
    state = (entry & 0xfff) * (state >> kPrecision) + (entry >> 12 & 0xfff);
    if (state < kLowest) state = state << 16 | *words.next++;
    return static_cast<int32_t>(entry) >> 24;
}

const Kernels& scalar_kernels();
#if TESSERA_X86
const Kernels& avx2_kernels();
const Kernels& avx512_kernels();
#endif

// What a vector path leaves over: resolves symbols `done` to n and adds them to `first`, the result of those before.
inline Resolved resolve_rest(const Tables& tables, const int32_t* symbols, const uint8_t* indices, size_t n,
                             uint32_t* entries, uint16_t* escapes, size_t done, Resolved first) {
    uint16_t* places = escapes + first.escapes;
    const Resolved rest =
        scalar_kernels().resolve(tables, symbols + done, indices + done, n - done, entries + done, places);
    for (size_t i = 0; i < rest.escapes; ++i) places[i] = static_cast<uint16_t>(places[i] + done);
    return {first.cost + rest.cost, first.escapes + rest.escapes};
}

const Dispatch<Kernels>& dispatch();

}  // namespace tessera
