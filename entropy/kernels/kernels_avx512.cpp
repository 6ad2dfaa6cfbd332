// Sixteen lanes a register (AVX-512 F, BW, VL). Every function carries its own target: the file is compiled like any
// other, and dispatch.hpp calls it only where the processor has the instructions.
#include "kernels.hpp"

#if TESSERA_X86
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,bmi2,popcnt")))
#define INLINE TARGET __attribute__((always_inline)) inline

namespace tessera {
namespace {

constexpr unsigned kWidth = 16;

INLINE __m512i load_bytes(const uint8_t* bytes) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

// base[places[i]] for each lane, by plain loads: on recent processors the gather instruction is slower.
INLINE __m512i look_up(const uint32_t* base, __m512i places) {
    alignas(64) uint32_t at[kWidth];
    _mm512_store_si512(at, places);
    __m128i part[4];
#pragma GCC unroll 4
    for (unsigned i = 0; i < 4; ++i) {
        part[i] = _mm_cvtsi32_si128(static_cast<int>(base[at[4 * i]]));
        part[i] = _mm_insert_epi32(part[i], static_cast<int>(base[at[4 * i + 1]]), 1);
        part[i] = _mm_insert_epi32(part[i], static_cast<int>(base[at[4 * i + 2]]), 2);
        part[i] = _mm_insert_epi32(part[i], static_cast<int>(base[at[4 * i + 3]]), 3);
    }
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(part[0]), part[1], 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(part[2]), part[3], 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

INLINE __m512i splat(uint32_t value) { return _mm512_set1_epi32(static_cast<int>(value)); }

// Positions in the encoding array of 16 symbols of narrow tables: values outside -127..127 go to byte 0x80.
INLINE __m512i positions(__m512i symbols, __m512i indices) {
    const __m512i clamped = _mm512_max_epi32(_mm512_min_epi32(symbols, splat(128)), splat(0xffffff80));
    return _mm512_or_si512(_mm512_slli_epi32(indices, 8), _mm512_and_si512(clamped, splat(0xff)));
}

// The bits of the frequency as a float are its logarithm: see cost() in kernels_scalar.cpp.
INLINE __m512i costs(__m512i entries) {
    const __m512i bits = _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_srli_epi32(entries, 20)));
    return _mm512_srli_epi32(_mm512_sub_epi32(splat((127u + kPrecision) << 23), bits), 11);
}

TARGET Resolved resolve(const Tables& tables, const int32_t* symbols, const uint8_t* indices, size_t n,
                        uint32_t* entries, uint16_t* escapes) {
    const size_t done = tables.narrow() ? n / kWidth * kWidth : 0;
    size_t found = 0;
    __m512i total = _mm512_setzero_si512();  // 8192 / 16 symbols per lane of at most 12 * 4096: below 2^32
    for (size_t i = 0; i < done; i += kWidth) {
        const __m512i place = positions(_mm512_loadu_si512(symbols + i), load_bytes(indices + i));
        const __m512i entry = look_up(tables.encoding(), place);
        _mm512_storeu_si512(entries + i, entry);
        total = _mm512_add_epi32(total, costs(entry));
        for (unsigned flags = _mm512_test_epi32_mask(entry, splat(kEscapeFlag)); flags != 0; flags &= flags - 1) {
            escapes[found++] = static_cast<uint16_t>(i + static_cast<unsigned>(__builtin_ctz(flags)));
        }
    }
    return resolve_rest(tables, symbols, indices, n, entries, escapes, done,
                        {static_cast<uint32_t>(_mm512_reduce_add_epi32(total)), found});
}

// x / f for x < f * 2^20 and f < 2^12. Both conversions and the division round towards zero, so the float quotient is
// at most the true one, and less by at most 3 * 2^-24 of it plus the part cut off: one too small at worst.
INLINE __m512i quotient(__m512i x, __m512i f) {
    constexpr int down = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
    return _mm512_cvttps_epi32(_mm512_div_round_ps(_mm512_cvt_roundepu32_ps(x, down), _mm512_cvtepi32_ps(f), down));
}

INLINE void encode_step(__m512i& state, const uint32_t* entries, uint16_t*& out) {
    const __m512i entry = _mm512_loadu_si512(entries);
    const __m512i f = _mm512_srli_epi32(entry, 20);
    const __mmask16 full = _mm512_cmpge_epu32_mask(state, _mm512_and_si512(entry, splat(0xfff00000)));
    const unsigned count = static_cast<unsigned>(_mm_popcnt_u32(full));
    out -= count;
    const __m256i words = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(full, state));
    _mm256_mask_storeu_epi16(out, static_cast<__mmask16>(_bzhi_u32(0xffff, count)), words);
    const __m512i x = _mm512_mask_srli_epi32(state, full, state, 16);
    const __m512i q = quotient(x, f);
    const __m512i r = _mm512_sub_epi32(x, _mm512_mullo_epi32(q, f));
    const __m512i start = _mm512_and_si512(_mm512_srli_epi32(entry, 8), splat(0xfff));
    const __m512i base = _mm512_add_epi32(_mm512_add_epi32(_mm512_slli_epi32(q, kPrecision), r), start);
    const __mmask16 short_by_one = _mm512_cmpge_epu32_mask(r, f);
    state = _mm512_mask_add_epi32(base, short_by_one, base, _mm512_sub_epi32(splat(kTotal), f));
}

template <unsigned kVectors>
TARGET uint16_t* encode_lanes(uint32_t* states, const uint32_t* entries, size_t steps, uint16_t* out) {
    __m512i state[kVectors];
    for (unsigned v = 0; v < kVectors; ++v) state[v] = _mm512_loadu_si512(states + v * kWidth);
    for (size_t step = steps; step-- > 0;) {
        const uint32_t* first = entries + step * kVectors * kWidth;
#pragma GCC unroll 8
        for (unsigned v = 1; v <= kVectors; ++v) {
            encode_step(state[kVectors - v], first + (kVectors - v) * kWidth, out);
        }
    }
    for (unsigned v = 0; v < kVectors; ++v) _mm512_storeu_si512(states + v * kWidth, state[v]);
    return out;
}

uint16_t* encode(uint32_t* states, unsigned lanes, const uint32_t* entries, size_t steps, uint16_t* out) {
    switch (lanes) {
        case 64: return encode_lanes<4>(states, entries, steps, out);
        case 32: return encode_lanes<2>(states, entries, steps, out);
        case 16: return encode_lanes<1>(states, entries, steps, out);
        default: return avx2_kernels().encode(states, lanes, entries, steps, out);
    }
}

// Most symbols are the one that takes most of their table (`Usual`): it is known without the large array, whose loads
// would come after one another, since the next state waits for them.
INLINE void decode_step(const Tables& tables, __m512i& state, const uint8_t* indices, int32_t* out, Words& words,
                        __m512i& smallest) {
    const __m512i index = load_bytes(indices);
    __m512i entry = look_up(tables.usual_entries(), index);
    const __m512i slot = _mm512_and_si512(state, splat(kTotal - 1));
    __m512i bias = _mm512_sub_epi32(slot, _mm512_and_si512(_mm512_srli_epi32(entry, 12), splat(0xfff)));
    const __mmask16 others = _mm512_cmpge_epu32_mask(bias, _mm512_and_si512(entry, splat(0xfff)));
    if (others != 0) {
        const __m512i place = _mm512_or_si512(slot, _mm512_slli_epi32(index, kPrecision));
        entry = _mm512_mask_i32gather_epi32(entry, others, place, tables.decoding(), 4);
        bias = _mm512_mask_and_epi32(bias, others, _mm512_srli_epi32(entry, 12), splat(0xfff));
    }
    const __m512i f = _mm512_and_si512(entry, splat(0xfff));
    const __m512i x = _mm512_add_epi32(_mm512_mullo_epi32(f, _mm512_srli_epi32(state, kPrecision)), bias);
    const __mmask16 low = _mm512_cmplt_epu32_mask(x, splat(kLowest));
    const __m512i next = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(words.next)));
    words.next += _mm_popcnt_u32(low);
    state = _mm512_mask_or_epi32(x, low, _mm512_slli_epi32(x, 16), _mm512_maskz_expand_epi32(low, next));
    const __m512i byte = _mm512_srai_epi32(entry, 24);
    _mm512_storeu_si512(out, byte);
    smallest = _mm512_min_epi32(smallest, byte);
}

template <unsigned kVectors>
TARGET int32_t decode_lanes(const Tables& tables, uint32_t* states, const uint8_t* indices, size_t steps,
                            int32_t* out, Words& words) {
    __m512i state[kVectors];
    __m512i smallest = _mm512_setzero_si512();
    Words reader = words;
    for (unsigned v = 0; v < kVectors; ++v) state[v] = _mm512_loadu_si512(states + v * kWidth);
    for (size_t step = 0; step < steps && reader.next <= reader.end; ++step) {
#pragma GCC unroll 8
        for (unsigned v = 0; v < kVectors; ++v) {
            decode_step(tables, state[v], indices + v * kWidth, out + v * kWidth, reader, smallest);
        }
        indices += kVectors * kWidth;
        out += kVectors * kWidth;
    }
    for (unsigned v = 0; v < kVectors; ++v) _mm512_storeu_si512(states + v * kWidth, state[v]);
    words = reader;
    return _mm512_reduce_min_epi32(smallest);
}

int32_t decode(const Tables& tables, uint32_t* states, unsigned lanes, const uint8_t* indices, size_t steps,
               int32_t* out, Words& words) {
    switch (lanes) {
        case 64: return decode_lanes<4>(tables, states, indices, steps, out, words);
        case 32: return decode_lanes<2>(tables, states, indices, steps, out, words);
        case 16: return decode_lanes<1>(tables, states, indices, steps, out, words);
        default: return avx2_kernels().decode(tables, states, lanes, indices, steps, out, words);
    }
}

constexpr Kernels make_kernels() {
    Kernels kernels{};
    kernels.path = Path::avx512;
    TESSERA_SET(kernels, resolve);
    TESSERA_SET(kernels, encode);
    TESSERA_SET(kernels, decode);
    return kernels;
}

constexpr Kernels kKernels = make_kernels();

}  // namespace

const Kernels& avx512_kernels() { return kKernels; }

}  // namespace tessera
#endif
