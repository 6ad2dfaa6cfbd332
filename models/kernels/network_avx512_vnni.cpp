// Integer networks with products of 32 words (AVX-512 F, BW, DQ, VL, VNNI).
#include "kernels.hpp"
#include "network_loops.hpp"

#if TESSERA_X86
#include <immintrin.h>

#include <cstring>

#include "target_avx512_vnni.inc"

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

// What a layer does to sixteen sums, and what stays the same from cell to cell.
class Sixteen {
public:
    Sixteen(const Finish& f, size_t first)
        : table_(f.table), last_(_mm512_set1_epi32(f.entries - 1)), low_(_mm512_set1_epi32(f.low)),
          high_(_mm512_set1_epi32(f.high)), even_(_mm512_loadu_si512(f.multipliers + first)),
          odd_(_mm512_srli_epi64(even_, 32)) {
        const __m512i low = _mm512_loadu_si512(f.offsets + first), high = _mm512_loadu_si512(f.offsets + first + 8);
        to_even_ = _mm512_permutex2var_epi64(low, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), high);
        to_odd_ = _mm512_permutex2var_epi64(low, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), high);
    }

    void finish(const int32_t* sums, const int16_t* add, int16_t* out) const {
        const __m512i s = _mm512_loadu_si512(sums);
        const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(s, even_), to_even_);
        const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(s, 32), odd_), to_odd_);
        __m512i y = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
        if (table_ != nullptr) {
            const __m512i place = _mm512_min_epi32(_mm512_max_epi32(y, _mm512_setzero_si512()), last_);
            // each lane loads two entries of the table, which is one longer than its entries
            const __m512i two = _mm512_i32gather_epi32(place, table_, 2);
            y = _mm512_srai_epi32(_mm512_slli_epi32(two, 16), 16);
        }
        if (add != nullptr) {
            const __m256i more = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(add));
            y = _mm512_add_epi32(y, _mm512_cvtepi16_epi32(more));
        }
        y = _mm512_min_epi32(_mm512_max_epi32(y, low_), high_);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi32_epi16(y));
    }

private:
    const int16_t* table_;
    __m512i last_, low_, high_;
    __m512i even_, odd_, to_even_, to_odd_;  // multipliers and offsets of the outputs of even and odd number
};

template <size_t Outputs>
void finish_cells(const Finish& f, const int32_t* sums, size_t count, const int16_t* add, int16_t* out) {
    const Sixteen first(f, 0), second(f, Outputs - 16);
    for (size_t i = 0; i < count; ++i, sums += kPanel, out += f.out_pitch) {
        first.finish(sums, add, out);
        if (Outputs > 16) second.finish(sums + 16, add == nullptr ? nullptr : add + 16, out + 16);
        if (add != nullptr) add += f.add_pitch;
    }
}

#define TESSERA_OWN_FINISH
#define TESSERA_WORDS 16
#define TESSERA_SUMS 16
#include "network_loops.inc"
#undef TESSERA_OWN_FINISH
#undef TESSERA_WORDS
#undef TESSERA_SUMS

}  // namespace
}  // namespace network_avx512_vnni

#include "target_end.inc"

const NetworkLoops& avx512_vnni_network() {
    static constexpr NetworkLoops loops = network_avx512_vnni::make_network(Path::avx512_vnni);
    return loops;
}

}  // namespace tessera
#endif
