// Integer networks with products of 16 words (AVX2).
#include "kernels.hpp"
#include "network_loops.hpp"

#if TESSERA_X86
#include <immintrin.h>

#include <cstring>

#include "target_avx2.inc"

namespace tessera {
namespace network_avx2 {
namespace {

constexpr size_t kRows = 6;  // 6 rows of two registers of sums, two of weights and two for products

inline __m256i loaded_256(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
inline void store_256(void* to, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(to), v); }

// Half a panel: two registers of eight outputs.
inline void multiply_half(const int16_t* a, size_t stride, size_t depth, const int16_t* w, int32_t* sums) {
    __m256i acc[kRows][2];
#pragma GCC unroll 6
    for (size_t i = 0; i < kRows; ++i) acc[i][0] = acc[i][1] = _mm256_setzero_si256();
    for (size_t k = 0; k < depth; k += 2, w += 2 * kPanel) {
        const __m256i first = loaded_256(w), second = loaded_256(w + 16);
#pragma GCC unroll 6
        for (size_t i = 0; i < kRows; ++i) {
            int32_t two;
            std::memcpy(&two, a + i * stride + k, sizeof two);
            const __m256i pair = _mm256_set1_epi32(two);
            acc[i][0] = _mm256_add_epi32(acc[i][0], _mm256_madd_epi16(pair, first));
            acc[i][1] = _mm256_add_epi32(acc[i][1], _mm256_madd_epi16(pair, second));
        }
    }
#pragma GCC unroll 6
    for (size_t i = 0; i < kRows; ++i) {
        store_256(sums + i * kPanel, acc[i][0]);
        store_256(sums + i * kPanel + 8, acc[i][1]);
    }
}

template <size_t Halves>
void multiply_block(const int16_t* a, size_t stride, size_t depth, const int16_t* w, int32_t* sums) {
    for (size_t h = 0; h < Halves; ++h) {
        multiply_half(a, stride, depth, w + h * kPanel, sums + h * kPanel / 2);
    }
}

template <size_t Outputs>
void rescale(const int32_t* sums, const int32_t* multipliers, const int64_t* offsets, int32_t* y) {
    for (size_t o = 0; o < Outputs; o += 8) {
        const __m256i s = loaded_256(sums + o), m = loaded_256(multipliers + o);
        const __m256i even = _mm256_mul_epi32(s, m);
        const __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(s, 32), _mm256_srli_epi64(m, 32));
        // lanes 0 1 4 5 and 2 3 6 7, as the offsets are put together below
        const __m256i near = _mm256_unpacklo_epi64(even, odd), far = _mm256_unpackhi_epi64(even, odd);
        const __m256i low = loaded_256(offsets + o), high = loaded_256(offsets + o + 4);
        const __m256i a = _mm256_add_epi64(near, _mm256_permute2x128_si256(low, high, 0x20));
        const __m256i b = _mm256_add_epi64(far, _mm256_permute2x128_si256(low, high, 0x31));
        const __m256 upper = _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0xdd);
        store_256(y + o, _mm256_castps_si256(upper));
    }
}

// Each lane loads two entries of the table, which is one longer than its entries.
template <size_t Outputs>
void look_up(const int16_t* table, int32_t* y) {
    for (size_t o = 0; o < Outputs; o += 8) {
        const __m256i two = _mm256_i32gather_epi32(reinterpret_cast<const int*>(table), loaded_256(y + o), 2);
        store_256(y + o, _mm256_srai_epi32(_mm256_slli_epi32(two, 16), 16));
    }
}

#define TESSERA_WORDS 16
#define TESSERA_SUMS 8
#include "network_loops.inc"
#undef TESSERA_WORDS
#undef TESSERA_SUMS

}  // namespace
}  // namespace network_avx2

#include "target_end.inc"

const NetworkLoops& avx2_network() {
    static constexpr NetworkLoops loops = network_avx2::make_network(Path::avx2);
    return loops;
}

}  // namespace tessera
#endif
