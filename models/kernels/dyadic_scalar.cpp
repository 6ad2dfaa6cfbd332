// The loops of the dyadic walk for every processor, and the tables to choose from.
#include "dyadic_loops.hpp"

#if TESSERA_X86
#include <emmintrin.h>
#endif

#include <cstring>

namespace tessera {
namespace dyadic_scalar {
namespace {

#define TESSERA_LANES 4
#include "lanes.inc"
#include "trellis_loops.inc"
#include "dyadic_loops.inc"
#undef TESSERA_LANES

}  // namespace
}  // namespace dyadic_scalar

const DyadicLoops& scalar_dyadic() {
    static constexpr DyadicLoops loops = dyadic_scalar::make_dyadic(Path::scalar);
    return loops;
}

const Dispatch<DyadicLoops>& dyadic_dispatch() {
#if TESSERA_X86
    static const Dispatch<DyadicLoops> all{&scalar_dyadic(), &avx2_dyadic(), &avx512_vnni_dyadic()};
#else
    static const Dispatch<DyadicLoops> all{&scalar_dyadic()};
#endif
    return all;
}

}  // namespace tessera
