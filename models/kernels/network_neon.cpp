// Integer networks with products of 4 words (AArch64).
#include "network_loops.hpp"

#if TESSERA_NEON
#include <arm_neon.h>

#include <cstring>

namespace tessera {
namespace network_neon {
namespace {

constexpr size_t kRows = 6;  // 6 rows of four registers of sums, four of weights

// Half a panel: four registers of four outputs.
inline void multiply_half(const int16_t* a, size_t stride, size_t depth, const int16_t* w, int32_t* sums) {
    int32x4_t acc[kRows][4];
    for (size_t i = 0; i < kRows; ++i) {
        for (size_t v = 0; v < 4; ++v) acc[i][v] = vdupq_n_s32(0);
    }
    for (size_t k = 0; k < depth; k += 2, w += 2 * kPanel) {
        const int16x8x2_t low = vld2q_s16(w), high = vld2q_s16(w + 16);  // outputs 0..7 and 8..15 of k and k + 1
        for (size_t i = 0; i < kRows; ++i) {
            for (int next = 0; next < 2; ++next) {
                const int16_t value = a[i * stride + k + static_cast<size_t>(next)];
                acc[i][0] = vmlal_n_s16(acc[i][0], vget_low_s16(low.val[next]), value);
                acc[i][1] = vmlal_n_s16(acc[i][1], vget_high_s16(low.val[next]), value);
                acc[i][2] = vmlal_n_s16(acc[i][2], vget_low_s16(high.val[next]), value);
                acc[i][3] = vmlal_n_s16(acc[i][3], vget_high_s16(high.val[next]), value);
            }
        }
    }
    for (size_t i = 0; i < kRows; ++i) {
        for (size_t v = 0; v < 4; ++v) vst1q_s32(sums + i * kPanel + 4 * v, acc[i][v]);
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
    for (size_t o = 0; o < Outputs; o += 2) {
        const int64x2_t product = vmull_s32(vld1_s32(sums + o), vld1_s32(multipliers + o));
        vst1_s32(y + o, vshrn_n_s64(vaddq_s64(product, vld1q_s64(offsets + o)), 32));
    }
}

template <size_t Outputs>
void look_up(const int16_t* table, int32_t* y) {
    for (size_t o = 0; o < Outputs; ++o) y[o] = table[y[o]];
}

#define TESSERA_WORDS 8
#define TESSERA_SUMS 4
#include "network_loops.inc"
#undef TESSERA_WORDS
#undef TESSERA_SUMS

}  // namespace
}  // namespace network_neon

const NetworkLoops& neon_network() {
    static constexpr NetworkLoops loops = network_neon::make_network(Path::neon);
    return loops;
}

}  // namespace tessera
#endif
