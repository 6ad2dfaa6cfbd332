// Eight lanes a register (AVX2). Every function carries its own target: the file is compiled like any other, and
// dispatch.hpp calls it only where the processor has the instructions.
#include "kernels.hpp"

#if TESSERA_X86
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,popcnt")))
#define INLINE TARGET __attribute__((always_inline)) inline

namespace tessera {
namespace {

constexpr unsigned kWidth = 8;

// For each mask of 8 lanes: where each lane finds its word when words are handed to the set lanes in order (`expand`),
// and which lane each word comes from when the set lanes' words are pushed to the upper end (`compress`).
struct Shuffles {
    uint64_t expand[256] = {};
    uint64_t compress[256] = {};
    constexpr Shuffles() {
        for (unsigned mask = 0; mask < 256; ++mask) {
            unsigned count = 0;
            for (unsigned lane = 0; lane < 8; ++lane) count += mask >> lane & 1;
            unsigned word = 0;
            for (unsigned lane = 0; lane < 8; ++lane) {
                if ((mask >> lane & 1) == 0) continue;
                expand[mask] |= uint64_t{word} << 8 * lane;
                compress[mask] |= uint64_t{lane} << 8 * (8 - count + word);
                ++word;
            }
        }
    }
};

constexpr Shuffles kShuffles;

INLINE __m256i splat(uint32_t value) { return _mm256_set1_epi32(static_cast<int>(value)); }

INLINE __m256i load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }

INLINE void store(void* to, __m256i value) { _mm256_storeu_si256(static_cast<__m256i*>(to), value); }

INLINE __m256i load_bytes(const void* bytes) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(bytes)));
}

// base[places[i]] for each lane, by plain loads: on recent processors the gather instruction is slower.
INLINE __m256i look_up(const uint32_t* base, __m256i places) {
    alignas(32) uint32_t at[kWidth];
    store(at, places);
    __m128i part[2];
#pragma GCC unroll 2
    for (unsigned i = 0; i < 2; ++i) {
        part[i] = _mm_cvtsi32_si128(static_cast<int>(base[at[4 * i]]));
        part[i] = _mm_insert_epi32(part[i], static_cast<int>(base[at[4 * i + 1]]), 1);
        part[i] = _mm_insert_epi32(part[i], static_cast<int>(base[at[4 * i + 2]]), 2);
        part[i] = _mm_insert_epi32(part[i], static_cast<int>(base[at[4 * i + 3]]), 3);
    }
    return _mm256_inserti128_si256(_mm256_castsi128_si256(part[0]), part[1], 1);
}

INLINE unsigned set_lanes(__m256i lanes) {
    return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(lanes)));
}

INLINE uint32_t sum(__m256i lanes) {
    alignas(32) uint32_t values[8];
    store(values, lanes);
    uint32_t total = 0;
    for (uint32_t value : values) total += value;
    return total;
}

// Positions in the encoding array of 8 symbols of narrow tables: values outside -127..127 go to byte 0x80.
INLINE __m256i positions(__m256i symbols, __m256i indices) {
    const __m256i clamped = _mm256_max_epi32(_mm256_min_epi32(symbols, splat(128)), splat(0xffffff80));
    return _mm256_or_si256(_mm256_slli_epi32(indices, 8), _mm256_and_si256(clamped, splat(0xff)));
}

// The bits of the frequency as a float are its logarithm: see cost() in kernels_scalar.cpp.
INLINE __m256i costs(__m256i entries) {
    const __m256i bits = _mm256_castps_si256(_mm256_cvtepi32_ps(_mm256_srli_epi32(entries, 20)));
    return _mm256_srli_epi32(_mm256_sub_epi32(splat((127u + kPrecision) << 23), bits), 11);
}

TARGET Resolved resolve(const Tables& tables, const int32_t* symbols, const uint8_t* indices, size_t n,
                        uint32_t* entries, uint16_t* escapes) {
    const size_t done = tables.narrow() ? n / kWidth * kWidth : 0;
    __m256i total = _mm256_setzero_si256();  // 8192 symbols of at most 12 * 4096: below 2^32
    size_t found = 0;
    for (size_t i = 0; i < done; i += kWidth) {
        const __m256i entry = look_up(tables.encoding(), positions(load(symbols + i), load_bytes(indices + i)));
        store(entries + i, entry);
        total = _mm256_add_epi32(total, costs(entry));
        for (unsigned flags = set_lanes(_mm256_slli_epi32(entry, 31)); flags != 0; flags &= flags - 1) {
            escapes[found++] = static_cast<uint16_t>(i + static_cast<unsigned>(__builtin_ctz(flags)));
        }
    }
    return resolve_rest(tables, symbols, indices, n, entries, escapes, done, {sum(total), found});
}

// About x / f for x < f * 2^20 and f < 2^12: at most one off either way. x is put together from its halves, because
// AVX2 converts signed numbers only; the three roundings come to less than 2^-22 of a quotient below 2^20.
INLINE __m256i quotient(__m256i x, __m256i f) {
    const __m256 high = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(x, 16)), _mm256_set1_ps(65536.0f));
    const __m256 low = _mm256_cvtepi32_ps(_mm256_and_si256(x, splat(0xffff)));
    return _mm256_cvttps_epi32(_mm256_div_ps(_mm256_add_ps(high, low), _mm256_cvtepi32_ps(f)));
}

// Writes the low words of the lanes in `full` below `out`, the highest lane's last.
INLINE void push_words(__m256i state, __m256i full, uint16_t*& out) {
    const unsigned mask = set_lanes(full);
    const __m256i order = load_bytes(&kShuffles.compress[mask]);
    const __m256i words = _mm256_permutevar8x32_epi32(_mm256_and_si256(state, splat(0xffff)), order);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(words, words), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out - kWidth), _mm256_castsi256_si128(packed));
    out -= _mm_popcnt_u32(mask);
}

INLINE void encode_step(__m256i& state, const uint32_t* entries, uint16_t*& out) {
    const __m256i entry = load(entries);
    const __m256i f = _mm256_srli_epi32(entry, 20);
    const __m256i limit = _mm256_and_si256(entry, splat(0xfff00000));
    const __m256i full = _mm256_cmpeq_epi32(_mm256_max_epu32(state, limit), state);
    push_words(state, full, out);
    const __m256i x = _mm256_blendv_epi8(state, _mm256_srli_epi32(state, 16), full);
    const __m256i q = quotient(x, f);
    const __m256i r = _mm256_sub_epi32(x, _mm256_mullo_epi32(q, f));
    const __m256i start = _mm256_and_si256(_mm256_srli_epi32(entry, 8), splat(0xfff));
    const __m256i base = _mm256_add_epi32(_mm256_add_epi32(_mm256_slli_epi32(q, kPrecision), r), start);
    const __m256i correction = _mm256_sub_epi32(splat(kTotal), f);
    const __m256i over = _mm256_srai_epi32(r, 31);                                      // r < 0: q is one too large
    const __m256i under = _mm256_cmpgt_epi32(r, _mm256_sub_epi32(f, splat(1)));  // r >= f: q is one too small
    state = _mm256_add_epi32(base, _mm256_and_si256(under, correction));
    state = _mm256_sub_epi32(state, _mm256_and_si256(over, correction));
}

template <unsigned kVectors>
TARGET uint16_t* encode_lanes(uint32_t* states, const uint32_t* entries, size_t steps, uint16_t* out) {
    __m256i state[kVectors];
    for (unsigned v = 0; v < kVectors; ++v) state[v] = load(states + v * kWidth);
    for (size_t step = steps; step-- > 0;) {
        const uint32_t* first = entries + step * kVectors * kWidth;
#pragma GCC unroll 8
        for (unsigned v = 1; v <= kVectors; ++v) {
            encode_step(state[kVectors - v], first + (kVectors - v) * kWidth, out);
        }
    }
    for (unsigned v = 0; v < kVectors; ++v) store(states + v * kWidth, state[v]);
    return out;
}

uint16_t* encode(uint32_t* states, unsigned lanes, const uint32_t* entries, size_t steps, uint16_t* out) {
    switch (lanes) {
        case 64: return encode_lanes<8>(states, entries, steps, out);
        case 32: return encode_lanes<4>(states, entries, steps, out);
        case 16: return encode_lanes<2>(states, entries, steps, out);
        case 8: return encode_lanes<1>(states, entries, steps, out);
        default: return scalar_kernels().encode(states, lanes, entries, steps, out);
    }
}

INLINE void decode_step(const uint32_t* decoding, __m256i& state, const uint8_t* indices, int32_t* out, Words& words,
                        __m256i& smallest) {
    const __m256i row = _mm256_slli_epi32(load_bytes(indices), kPrecision);
    const __m256i entry = look_up(decoding, _mm256_or_si256(_mm256_and_si256(state, splat(kTotal - 1)), row));
    const __m256i f = _mm256_and_si256(entry, splat(0xfff));
    const __m256i bias = _mm256_and_si256(_mm256_srli_epi32(entry, 12), splat(0xfff));
    const __m256i x = _mm256_add_epi32(_mm256_mullo_epi32(f, _mm256_srli_epi32(state, kPrecision)), bias);
    const __m256i low = _mm256_cmpeq_epi32(_mm256_srli_epi32(x, 16), _mm256_setzero_si256());
    const unsigned mask = set_lanes(low);
    const __m256i next = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(words.next)));
    words.next += _mm_popcnt_u32(mask);
    const __m256i placed = _mm256_permutevar8x32_epi32(next, load_bytes(&kShuffles.expand[mask]));
    state = _mm256_blendv_epi8(x, _mm256_or_si256(_mm256_slli_epi32(x, 16), placed), low);
    const __m256i byte = _mm256_srai_epi32(entry, 24);
    store(out, byte);
    smallest = _mm256_min_epi32(smallest, byte);
}

template <unsigned kVectors>
TARGET int32_t decode_lanes(const uint32_t* decoding, uint32_t* states, const uint8_t* indices, size_t steps,
                            int32_t* out, Words& words) {
    __m256i state[kVectors];
    __m256i smallest = _mm256_setzero_si256();
    Words reader = words;
    for (unsigned v = 0; v < kVectors; ++v) state[v] = load(states + v * kWidth);
    for (size_t step = 0; step < steps && reader.next <= reader.end; ++step) {
#pragma GCC unroll 8
        for (unsigned v = 0; v < kVectors; ++v) {
            decode_step(decoding, state[v], indices + v * kWidth, out + v * kWidth, reader, smallest);
        }
        indices += kVectors * kWidth;
        out += kVectors * kWidth;
    }
    for (unsigned v = 0; v < kVectors; ++v) store(states + v * kWidth, state[v]);
    words = reader;
    alignas(32) int32_t lowest[8];
    store(lowest, smallest);
    for (int32_t byte : lowest) lowest[0] = byte < lowest[0] ? byte : lowest[0];
    return lowest[0];
}

int32_t decode(const Tables& tables, uint32_t* states, unsigned lanes, const uint8_t* indices, size_t steps,
               int32_t* out, Words& words) {
    const uint32_t* decoding = tables.decoding();
    switch (lanes) {
        case 64: return decode_lanes<8>(decoding, states, indices, steps, out, words);
        case 32: return decode_lanes<4>(decoding, states, indices, steps, out, words);
        case 16: return decode_lanes<2>(decoding, states, indices, steps, out, words);
        case 8: return decode_lanes<1>(decoding, states, indices, steps, out, words);
        default: return scalar_kernels().decode(tables, states, lanes, indices, steps, out, words);
    }
}

constexpr Kernels make_kernels() {
    Kernels kernels{};
    kernels.path = Path::avx2;
    TESSERA_SET(kernels, resolve);
    TESSERA_SET(kernels, encode);
    TESSERA_SET(kernels, decode);
    return kernels;
}

constexpr Kernels kKernels = make_kernels();

}  // namespace

const Kernels& avx2_kernels() { return kKernels; }

}  // namespace tessera
#endif
