// The loops of a fit with vectors of eight floats (AVX2, FMA).
#include <cmath>
#include <cstring>

#include "fit_loops.hpp"

#if TESSERA_X86
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

namespace tessera {
namespace fit {
namespace avx2 {
namespace {

#define TESSERA_VECTORS 1
constexpr size_t kWidth = 8;
typedef float Vec __attribute__((vector_size(32)));
typedef int32_t IntVec __attribute__((vector_size(32)));

constexpr Path kPath = Path::avx2;
#include "table.inc"

}  // namespace
}  // namespace avx2

const FitLoops& avx2_fit() {
    static const FitLoops loops = avx2::table();
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
