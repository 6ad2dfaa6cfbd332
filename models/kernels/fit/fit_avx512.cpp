// The loops of a fit with vectors of sixteen floats (AVX-512 F, BW, DQ, VL).
#include <cmath>
#include <cstring>

#include "fit_loops.hpp"

#if TESSERA_X86
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma,prefer-vector-width=512")
#endif

namespace tessera {
namespace fit {
namespace avx512 {
namespace {

#define TESSERA_VECTORS 1
constexpr size_t kWidth = 16;
typedef float Vec __attribute__((vector_size(64)));
typedef int32_t IntVec __attribute__((vector_size(64)));

constexpr Path kPath = Path::avx512;
#include "table.inc"

}  // namespace
}  // namespace avx512

const FitLoops& avx512_fit() {
    static const FitLoops loops = avx512::table();
    return loops;
}

}  // namespace fit
}  // namespace tessera

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
