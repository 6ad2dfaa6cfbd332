// The loops of fitted pictures in eight lanes, with products of 16 words (AVX2).
#include <cstring>

#include "overfitted_loops.hpp"

#if TESSERA_X86
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

namespace tessera {
namespace fitted_avx2 {
namespace {

#define TESSERA_LANES 8
#include "overfitted_lanes.inc"
#undef TESSERA_LANES

inline V add_pairs(const V& sums, const V& x, const V& w) {
    return sums + V(_mm256_madd_epi16(__m256i(x), __m256i(w)));
}

#include "overfitted_loops.inc"

}  // namespace
}  // namespace fitted_avx2

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const FittedLoops& avx2_fitted() {
    static constexpr FittedLoops loops = fitted_avx2::make_fitted(Path::avx2);
    return loops;
}

}  // namespace tessera
#endif
