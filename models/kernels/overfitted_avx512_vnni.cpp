// The loops of fitted pictures in sixteen lanes, with sums of products of words (AVX-512 VNNI).
#include <cstring>

#include "overfitted_loops.hpp"

#if TESSERA_X86
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,prefer-vector-width=512")
#endif

namespace tessera {
namespace fitted_avx512_vnni {
namespace {

#define TESSERA_LANES 16
#include "overfitted_lanes.inc"
#undef TESSERA_LANES

inline V add_pairs(const V& sums, const V& x, const V& w) {
    return V(_mm512_dpwssd_epi32(__m512i(sums), __m512i(x), __m512i(w)));
}

#include "overfitted_loops.inc"

}  // namespace
}  // namespace fitted_avx512_vnni

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const FittedLoops& avx512_vnni_fitted() {
    static constexpr FittedLoops loops = fitted_avx512_vnni::make_fitted(Path::avx512_vnni);
    return loops;
}

}  // namespace tessera
#endif
