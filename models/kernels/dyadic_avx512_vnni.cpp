// The loops of the dyadic walk in sixteen lanes (AVX-512 VNNI).
#include "dyadic_loops.hpp"

#if TESSERA_X86
#include <immintrin.h>

#include <cstring>

#include "target_avx512_vnni.inc"

namespace tessera {
namespace dyadic_avx512_vnni {
namespace {

#define TESSERA_LANES 16
#include "lanes.inc"
#include "trellis_loops.inc"
#include "dyadic_loops.inc"
#undef TESSERA_LANES

}  // namespace
}  // namespace dyadic_avx512_vnni

#include "target_end.inc"

const DyadicLoops& avx512_vnni_dyadic() {
    static constexpr DyadicLoops loops = dyadic_avx512_vnni::make_dyadic(Path::avx512_vnni);
    return loops;
}

}  // namespace tessera
#endif
