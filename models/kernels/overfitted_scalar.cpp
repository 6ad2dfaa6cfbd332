// The loops of fitted pictures for every processor, and the tables to choose from.
#include "overfitted_loops.hpp"

#if TESSERA_X86
#include <emmintrin.h>
#endif

#include <cstring>

namespace tessera {
namespace fitted_scalar {
namespace {

#define TESSERA_LANES 4
#include "lanes.inc"
#include "overfitted_loops.inc"
#undef TESSERA_LANES

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
