// The loops of a fit, avx2.
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

#include "vectors.inc"
#include "products.inc"
#include "context.inc"
#include "pyramid.inc"
#include "synthesis.inc"
#include "latents.inc"

FitLoops table() {
    FitLoops loops{};
    loops.path = Path::avx2;
    TESSERA_SET(loops, quantise);
    TESSERA_SET(loops, context);
    TESSERA_SET(loops, combine);
    TESSERA_SET(loops, combine_back);
    TESSERA_SET(loops, enlarge);
    TESSERA_SET(loops, pool);
    TESSERA_SET(loops, upsample);
    TESSERA_SET(loops, upsample_back);
    TESSERA_SET(loops, filter);
    TESSERA_SET(loops, filter_back);
    TESSERA_SET(loops, synthesise);
    TESSERA_SET(loops, synthesise_back);
    TESSERA_SET(loops, adam);
    return loops;
}

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
