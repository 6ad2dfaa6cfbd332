// The loops of the dyadic walk in eight lanes (AVX2).
#include "dyadic_loops.hpp"

#if TESSERA_X86
#include <immintrin.h>

#include <cstring>

#include "target_avx2.inc"

namespace tessera {
namespace dyadic_avx2 {
namespace {

#define TESSERA_LANES 8
#include "lanes.inc"
#include "trellis_loops.inc"
#include "dyadic_loops.inc"
#undef TESSERA_LANES

}  // namespace
}  // namespace dyadic_avx2

#include "target_end.inc"

const DyadicLoops& avx2_dyadic() {
    static constexpr DyadicLoops loops = dyadic_avx2::make_dyadic(Path::avx2);
    return loops;
}

}  // namespace tessera
#endif
