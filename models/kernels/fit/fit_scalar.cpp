// The loops of a fit, scalar.
#include <cstring>

#include "fit_loops.hpp"

namespace tessera {
namespace fit {
namespace scalar {
namespace {

#if defined(__GNUC__) || defined(__clang__)
#define TESSERA_VECTORS 1
constexpr size_t kWidth = 4;  // what every processor with vectors has
typedef float Vec __attribute__((vector_size(16)));
typedef int32_t IntVec __attribute__((vector_size(16)));
#else
#define TESSERA_VECTORS 0
constexpr size_t kWidth = 1;
using Vec = float;
using IntVec = int32_t;
#endif

#include "vectors.inc"
#include "products.inc"
#include "context.inc"
#include "pyramid.inc"
#include "synthesis.inc"
#include "latents.inc"

FitLoops table() {
    FitLoops loops{};
    loops.path = Path::scalar;
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
}  // namespace scalar

const FitLoops& scalar_fit() {
    static const FitLoops loops = scalar::table();
    return loops;
}

}  // namespace fit
}  // namespace tessera
