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

// As decode_one, without asking the large array for the symbol that most slots of a table stand for: a stream of few
// lanes spends most of its time waiting for that array, and the guess lets the processor go on.
inline int32_t decode_usual(const uint32_t* decoding, const Usual* usual, uint32_t& state, uint8_t index, Words& words) {
    const Usual guess = usual[index];
    const uint32_t place = (state & (kTotal - 1)) - guess.start;
    if (place >= guess.frequency) return decode_one(decoding, state, index, words);
    state = guess.frequency * (state >> kPrecision) + place;
    if (state < kLowest) state = state << 16 | *words.next++;
    return guess.byte;
}

template <unsigned kLanes>
int32_t decode_lanes(const Tables& tables, uint32_t* states, const uint8_t* indices, size_t steps, int32_t* out,
                     Words& words) {
    const uint32_t* decoding = tables.decoding();
    const Usual* usual = tables.usual();
    uint32_t state[kLanes];
    Words reader = words;
    int32_t smallest = 0;
    for (unsigned lane = 0; lane < kLanes; ++lane) state[lane] = states[lane];
    for (size_t step = 0; step < steps && reader.next <= reader.end; ++step, indices += kLanes, out += kLanes) {
        for (unsigned lane = 0; lane < kLanes; ++lane) {
            out[lane] = decode_usual(decoding, usual, state[lane], indices[lane], reader);
            smallest = out[lane] < smallest ? out[lane] : smallest;
        }
    }
    for (unsigned lane = 0; lane < kLanes; ++lane) states[lane] = state[lane];
    words = reader;
    return smallest;
}

int32_t decode(const Tables& tables, uint32_t* states, unsigned lanes, const uint8_t* indices, size_t steps,
               int32_t* out, Words& words) {
    switch (lanes) {
        case 64: return decode_lanes<64>(tables, states, indices, steps, out, words);
        case 32: return decode_lanes<32>(tables, states, indices, steps, out, words);
        case 16: return decode_lanes<16>(tables, states, indices, steps, out, words);
        case 8: return decode_lanes<8>(tables, states, indices, steps, out, words);
        case 4: return decode_lanes<4>(tables, states, indices, steps, out, words);
        case 2: return decode_lanes<2>(tables, states, indices, steps, out, words);
        default: return decode_lanes<1>(tables, states, indices, steps, out, words);
    }
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
