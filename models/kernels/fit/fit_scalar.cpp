// The loops of a fit for every processor: vectors of four floats where the compiler has them.
#include <cmath>
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

constexpr Path kPath = Path::scalar;
#include "table.inc"

}  // namespace
}  // namespace scalar

const FitLoops& scalar_fit() {
    static const FitLoops loops = scalar::table();
    return loops;
}

}  // namespace fit
}  // namespace tessera
