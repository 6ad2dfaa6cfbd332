// Sixteen lanes a register and byte products (AVX-512 F, BW, DQ, VL, VNNI).
#include "kernels.hpp"

#if TESSERA_X86
#include <immintrin.h>

#include <cmath>
#include <cstring>
#include <type_traits>

#include "target_avx512_vnni.inc"

namespace tessera {
namespace avx512_vnni {
namespace {

void add_product(const Conv& conv, const uint32_t* x, const uint8_t* used, int32_t* sums) {
    constexpr size_t kVectors = 4;
    for (size_t block = 0; block < conv.outputs; ++block) {
        int32_t* to = sums + 4 * block * kTile;
        for (size_t i = 0; i < kTile; i += 16 * kVectors) {
            __m512i acc[4][kVectors];
            for (size_t o = 0; o < 4; ++o) {
                for (size_t v = 0; v < kVectors; ++v) acc[o][v] = _mm512_loadu_si512(to + o * kTile + i + 16 * v);
            }
            const int32_t* w = conv.weights.data() + 4 * size_t{conv.first[block]};
            for (uint32_t entry = conv.first[block]; entry < conv.first[block + 1]; ++entry, w += 4) {
                if (used != nullptr && used[conv.group[entry]] == 0) continue;
                const uint32_t* from = x + conv.group[entry] * kTile + i;
                __m512i bytes[kVectors];
                for (size_t v = 0; v < kVectors; ++v) bytes[v] = _mm512_loadu_si512(from + 16 * v);
                for (size_t o = 0; o < 4; ++o) {
                    const __m512i weight = _mm512_set1_epi32(w[o]);
                    for (size_t v = 0; v < kVectors; ++v) acc[o][v] = _mm512_dpbusd_epi32(acc[o][v], bytes[v], weight);
                }
            }
            for (size_t o = 0; o < 4; ++o) {
                for (size_t v = 0; v < kVectors; ++v) _mm512_storeu_si512(to + o * kTile + i + 16 * v, acc[o][v]);
            }
        }
    }
}

#include "transpose.inc"
#define TESSERA_WIDTH 16
#include "motion_loops.inc"
#include "lifting.inc"
#include "loops.inc"
#include "exact_loops.inc"
#include "word_loops.inc"
#include "table.inc"
#undef TESSERA_WIDTH

}  // namespace
}  // namespace avx512_vnni

#include "target_end.inc"

const Kernels& avx512_vnni_kernels() {
    static constexpr Kernels kernels = avx512_vnni::make_kernels(Path::avx512_vnni);
    return kernels;
}

}  // namespace tessera
#endif
