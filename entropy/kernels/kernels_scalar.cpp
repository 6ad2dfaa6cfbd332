// The plain loops, and the list of all.
#include <cstring>

#include "kernels.hpp"

namespace tessera {
namespace {

// 12 - log2(frequency) in units of 2^-12, with the logarithm's straight-line approximation between powers of two: the
// bits of a float are its logarithm. Only the number of lanes depends on it, but every path must agree on that number.
uint32_t cost(uint32_t entry) {
    const float frequency = static_cast<float>(entry >> 20);
    uint32_t bits;
    std::memcpy(&bits, &frequency, sizeof bits);
    return (((127u + kPrecision) << 23) - bits) >> 11;
}

// The byte of a value: -128 as well for what no byte holds.
uint8_t byte_of(const Tables& tables, int32_t value, size_t table) {
    const int64_t byte = value - tables.base(table);
    return byte < -127 || byte > 127 ? 0x80 : static_cast<uint8_t>(byte);
}

Resolved resolve(const Tables& tables, const int32_t* symbols, const uint8_t* indices, size_t n, uint32_t* entries,
                 uint16_t* escapes) {
    uint64_t total = 0;
    size_t found = 0;
    for (size_t i = 0; i < n; ++i) {
        const uint32_t entry = tables.encoding()[indices[i] * kRow + byte_of(tables, symbols[i], indices[i])];
        entries[i] = entry;
        total += cost(entry);
        if (entry & kEscapeFlag) escapes[found++] = static_cast<uint16_t>(i);
    }
    return {total, found};
}

uint16_t* encode(uint32_t* states, unsigned lanes, const uint32_t* entries, size_t steps, uint16_t* out) {
    for (size_t step = steps; step-- > 0;) {
        for (unsigned lane = lanes; lane-- > 0;) encode_one(states[lane], entries[step * lanes + lane], out);
    }
    return out;
}

int32_t decode(const uint32_t* decoding, uint32_t* states, unsigned lanes, const uint8_t* indices, size_t steps,
               int32_t* out, Words& words) {
    int32_t smallest = 0;
    for (size_t step = 0; step < steps && words.next <= words.end; ++step) {
        for (unsigned lane = 0; lane < lanes; ++lane) {
            const size_t i = step * lanes + lane;
            out[i] = decode_one(decoding, states[lane], indices[i], words);
            smallest = out[i] < smallest ? out[i] : smallest;
        }
    }
    return smallest;
}

constexpr Kernels make_kernels() {
    Kernels kernels{};
    kernels.path = Path::scalar;
    TESSERA_SET(kernels, resolve);
    TESSERA_SET(kernels, encode);
    TESSERA_SET(kernels, decode);
    return kernels;
}

constexpr Kernels kKernels = make_kernels();

}  // namespace

const Kernels& scalar_kernels() { return kKernels; }

const Dispatch<Kernels>& dispatch() {
#if TESSERA_X86
    static const Dispatch<Kernels> all{&scalar_kernels(), &avx2_kernels(), &avx512_kernels()};
#else
    static const Dispatch<Kernels> all{&scalar_kernels()};
#endif
    return all;
}

}  // namespace tessera
