// The loops of fitted pictures in eight lanes (AVX2).
#include "overfitted_loops.hpp"

#if TESSERA_X86
#include <immintrin.h>

#include <cstring>

#include "target_avx2.inc"

namespace tessera {
namespace fitted_avx2 {
namespace {

#define TESSERA_LANES 8
#include "lanes.inc"
#include "overfitted_loops.inc"
#undef TESSERA_LANES

}  // namespace
}  // namespace fitted_avx2

#include "target_end.inc"

const FittedLoops& avx2_fitted() {
    static constexpr FittedLoops loops = fitted_avx2::make_fitted(Path::avx2);
    return loops;
}

}  // namespace tessera
#endif
