// The plain set, for every processor, and the choice among the sets.
#include "exact_loops.hpp"
#include "kernels.hpp"
#include "motion_loops.hpp"

#include <cmath>
#include <cstring>

#include <stdexcept>
#include <string>

namespace tessera {
namespace scalar {
namespace {

void add_product(const Conv& conv, const uint32_t* x, int32_t* sums) {
    for (size_t block = 0; block < conv.outputs; ++block) {
        for (uint32_t entry = conv.first[block]; entry < conv.first[block + 1]; ++entry) {
            const uint32_t* from = x + conv.group[entry] * kTile;
            for (size_t o = 0; o < 4; ++o) {
                const uint32_t w = static_cast<uint32_t>(conv.weights[4 * entry + o]);
                int32_t* to = sums + (4 * block + o) * kTile;
                for (int k = 0; k < 4; ++k) {
                    const int32_t weight = static_cast<int8_t>(w >> (8 * k) & 0xff);
                    for (size_t i = 0; i < kTile; ++i)
                        to[i] += weight * static_cast<int32_t>(from[i] >> (8 * k) & 0xff);
                }
            }
        }
    }
}

template <typename T>
void to_phases(const T* samples, size_t cells, T* phases) {
    for (size_t i = 0; i < cells; ++i) {
        for (size_t p = 0; p < 8; ++p) phases[p * cells + i] = samples[8 * i + p];
    }
}

template <typename T>
void to_samples(const T* phases, size_t cells, T* samples) {
    for (size_t i = 0; i < cells; ++i) {
        for (size_t p = 0; p < 8; ++p) samples[8 * i + p] = phases[p * cells + i];
    }
}

#define TESSERA_WIDTH 4
#include "motion_loops.inc"
#include "lifting.inc"
#include "loops.inc"
#include "exact_loops.inc"
#undef TESSERA_WIDTH

}  // namespace
}  // namespace scalar

const Kernels& scalar_kernels() {
    using namespace scalar;
    static const Kernels kernels{"scalar",      add_product, activate,    interleave, rungs,     indices,
                                 round_symbols, clip,        features,    spread,     compand,   rescale,
                                 add_near,      colours,     pixels,      split_row,  merge_row, split_column,
                                 merge_column,  load_strip,  store_strip, deal,       blend,       &motion::loops,
                                 &exact::loops};
    return kernels;
}

const Kernels& find_kernels(const char* name) {
    const std::string wanted = name == nullptr ? "" : name;
#if TESSERA_X86
    const bool avx2 = __builtin_cpu_supports("avx2");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vnni");
    if (avx512 && (wanted.empty() || wanted == "avx512")) return avx512_kernels();
    if (avx2 && (wanted.empty() || wanted == "avx2")) return avx2_kernels();
#endif
    if (wanted.empty() || wanted == "scalar") return scalar_kernels();
    if (wanted == "avx2" || wanted == "avx512") {
        throw std::invalid_argument("this processor does not run the " + wanted + " path");
    }
    throw std::invalid_argument("path must be scalar, avx2 or avx512, not " + wanted);
}

bool has_bfloat16_products() {
#if TESSERA_X86
    return __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

}  // namespace tessera
