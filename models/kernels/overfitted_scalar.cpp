// The loops of fitted pictures for every processor, and the tables to choose from.
#include <cstring>

#include "overfitted_loops.hpp"

#if TESSERA_X86
#include <emmintrin.h>
#endif

namespace tessera {
namespace fitted_scalar {
namespace {

#if defined(__GNUC__) || defined(__clang__)
#define TESSERA_LANES 4
#include "overfitted_lanes.inc"
#undef TESSERA_LANES

#if TESSERA_X86  // every processor of 64 bits has this instruction
inline V add_pairs(const V& sums, const V& x, const V& w) { return sums + V(_mm_madd_epi16(__m128i(x), __m128i(w))); }
#else
inline V add_pairs(const V& sums, const V& x, const V& w) {
    const V low = x * all(1 << 16) >> 16, high = x >> 16;
    return sums + low * (w * all(1 << 16) >> 16) + high * (w >> 16);
}
#endif
#else
constexpr size_t kLanes = 1;
typedef int32_t V;
inline V load(const int32_t* from) { return *from; }
inline V load_short(const int16_t* from) { return *from; }
inline void store(V v, int32_t* to) { *to = v; }
inline V all(int32_t x) { return x; }
inline V least(V a, V b) { return a < b ? a : b; }
inline V most(V a, V b) { return a > b ? a : b; }
inline V add_pairs(V sums, V x, V w) {
    return sums + static_cast<int16_t>(x) * static_cast<int16_t>(w) + (x >> 16) * (w >> 16);
}
#endif
#include "overfitted_loops.inc"

}  // namespace
}  // namespace fitted_scalar

const FittedLoops& scalar_fitted() {
    static constexpr FittedLoops loops = fitted_scalar::make_fitted(Path::scalar);
    return loops;
}

const Dispatch<FittedLoops>& fitted_dispatch() {
#if TESSERA_X86
    static const Dispatch<FittedLoops> all{&scalar_fitted(), &avx2_fitted(), &avx512_vnni_fitted()};
#else
    static const Dispatch<FittedLoops> all{&scalar_fitted()};
#endif
    return all;
}

}  // namespace tessera
