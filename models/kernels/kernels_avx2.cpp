// Eight lanes a register. The target covers this file's own functions only: headers come before it.
#include "kernels.hpp"

#if TESSERA_X86
#include <immintrin.h>

#include <cmath>
#include <cstring>
#include <type_traits>

#include "target_avx2.inc"

namespace tessera {
namespace avx2 {
namespace {

// Products of bytes with signed bytes overflow the 16 bits that AVX2 adds pairs in, so even and odd bytes are widened.
void add_product(const Conv& conv, const uint32_t* x, const uint8_t* used, int32_t* sums) {
    const __m256i even = _mm256_set1_epi32(0x00ff00ff);
    for (size_t block = 0; block < conv.outputs; ++block) {
        int32_t* to = sums + 4 * block * kTile;
        for (size_t i = 0; i < kTile; i += 16) {
            __m256i acc[4][2];
            for (size_t o = 0; o < 4; ++o) {
                for (size_t v = 0; v < 2; ++v) {
                    acc[o][v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(to + o * kTile + i + 8 * v));
                }
            }
            for (uint32_t entry = conv.first[block]; entry < conv.first[block + 1]; ++entry) {
                if (used != nullptr && used[conv.group[entry]] == 0) continue;
                const uint32_t* from = x + conv.group[entry] * kTile + i;
                __m256i low[2], high[2];
                for (size_t v = 0; v < 2; ++v) {
                    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 8 * v));
                    low[v] = _mm256_and_si256(bytes, even);
                    high[v] = _mm256_and_si256(_mm256_srli_epi32(bytes, 8), even);
                }
                for (size_t o = 0; o < 4; ++o) {
                    const __m256i w = _mm256_set1_epi32(conv.weights[4 * entry + o]);
                    const __m256i w_low = _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8);
                    const __m256i w_high = _mm256_srai_epi16(w, 8);
                    for (size_t v = 0; v < 2; ++v) {
                        const __m256i pair =
                            _mm256_add_epi32(_mm256_madd_epi16(low[v], w_low), _mm256_madd_epi16(high[v], w_high));
                        acc[o][v] = _mm256_add_epi32(acc[o][v], pair);
                    }
                }
            }
            for (size_t o = 0; o < 4; ++o) {
                for (size_t v = 0; v < 2; ++v) {
                    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + o * kTile + i + 8 * v), acc[o][v]);
                }
            }
        }
    }
}

#include "transpose.inc"
#define TESSERA_WIDTH 8
#include "motion_loops.inc"
#include "lifting.inc"
#include "loops.inc"
#include "exact_loops.inc"
#include "word_loops.inc"
#include "table.inc"
#undef TESSERA_WIDTH

}  // namespace
}  // namespace avx2

#include "target_end.inc"

const Kernels& avx2_kernels() {
    static constexpr Kernels kernels = avx2::make_kernels(Path::avx2);
    return kernels;
}

}  // namespace tessera
#endif
