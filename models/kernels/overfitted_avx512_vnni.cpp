// The loops of fitted pictures in sixteen lanes (AVX-512 VNNI).
#include "overfitted_loops.hpp"

#if TESSERA_X86
#include <immintrin.h>

#include <cstring>

#include "target_avx512_vnni.inc"

namespace tessera {
namespace fitted_avx512_vnni {
namespace {

#define TESSERA_LANES 16
#include "lanes.inc"
#include "overfitted_loops.inc"
#undef TESSERA_LANES

}  // namespace
}  // namespace fitted_avx512_vnni

#include "target_end.inc"

const FittedLoops& avx512_vnni_fitted() {
    static constexpr FittedLoops loops = fitted_avx512_vnni::make_fitted(Path::avx512_vnni);
    return loops;
}

}  // namespace tessera
#endif
