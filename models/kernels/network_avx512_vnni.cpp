// Integer networks with products of 32 words (AVX-512 F, BW, DQ, VL, VNNI).
#include "kernels.hpp"
#include "network_loops.hpp"

#if TESSERA_X86
#include <immintrin.h>

#include <cstring>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,prefer-vector-width=512")
#endif

namespace tessera {
namespace network_avx512_vnni {
namespace {

constexpr size_t kRows = 12;  // 12 rows of two registers of sums, two of weights and one of activations

inline __m512i both(const int16_t* from) {
    int32_t two;
    std::memcpy(&two, from, sizeof two);
    return _mm512_set1_epi32(two);
}

template <size_t Halves>
void multiply_block(const int16_t* a, size_t stride, size_t depth, const int16_t* w, int32_t* sums) {
    __m512i acc[kRows][Halves];
#pragma GCC unroll 12
    for (size_t i = 0; i < kRows; ++i) {
        for (size_t h = 0; h < Halves; ++h) acc[i][h] = _mm512_setzero_si512();
    }
    for (size_t k = 0; k < depth; k += 2, w += 2 * kPanel) {
        __m512i weights[Halves];
        for (size_t h = 0; h < Halves; ++h) weights[h] = _mm512_loadu_si512(w + 32 * h);
#pragma GCC unroll 12
        for (size_t i = 0; i < kRows; ++i) {
            const __m512i pair = both(a + i * stride + k);
            for (size_t h = 0; h < Halves; ++h) acc[i][h] = _mm512_dpwssd_epi32(acc[i][h], pair, weights[h]);
        }
    }
#pragma GCC unroll 12
    for (size_t i = 0; i < kRows; ++i) {
        for (size_t h = 0; h < Halves; ++h) _mm512_storeu_si512(sums + i * kPanel + 16 * h, acc[i][h]);
    }
}

template <size_t Outputs>
void rescale(const int32_t* sums, const int32_t* multipliers, const int64_t* offsets, int32_t* y) {
    for (size_t o = 0; o < Outputs; o += 16) {
        const __m512i s = _mm512_loadu_si512(sums + o), m = _mm512_loadu_si512(multipliers + o);
        const __m512i low = _mm512_loadu_si512(offsets + o), high = _mm512_loadu_si512(offsets + o + 8);
        const __m512i first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);  // pairs of lanes back in their order
        const __m512i even = _mm512_mul_epi32(s, m);
        const __m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(s, 32), _mm512_srli_epi64(m, 32));
        const __m512i second = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
        const __m512i a = _mm512_add_epi64(_mm512_permutex2var_epi64(even, first, odd), low);
        const __m512i b = _mm512_add_epi64(_mm512_permutex2var_epi64(even, second, odd), high);
        const __m256i top = _mm512_cvtepi64_epi32(_mm512_srli_epi64(a, 32));
        const __m256i bottom = _mm512_cvtepi64_epi32(_mm512_srli_epi64(b, 32));
        _mm512_storeu_si512(y + o, _mm512_inserti64x4(_mm512_castsi256_si512(top), bottom, 1));
    }
}

// Each lane loads two entries of the table, which is one longer than its entries.
template <size_t Outputs>
void look_up(const int16_t* table, int32_t* y) {
    for (size_t o = 0; o < Outputs; o += 16) {
        const __m512i two = _mm512_i32gather_epi32(_mm512_loadu_si512(y + o), table, 2);
        _mm512_storeu_si512(y + o, _mm512_srai_epi32(_mm512_slli_epi32(two, 16), 16));
    }
}

#define TESSERA_WORDS 16
#define TESSERA_SUMS 16
#include "network_loops.inc"
#undef TESSERA_WORDS
#undef TESSERA_SUMS

}  // namespace
}  // namespace network_avx512_vnni

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const NetworkLoops& avx512_vnni_network() {
    static constexpr NetworkLoops loops = network_avx512_vnni::make_network(Path::avx512_vnni);
    return loops;
}

}  // namespace tessera
#endif
