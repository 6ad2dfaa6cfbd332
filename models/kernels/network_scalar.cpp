// The plain loops of integer networks, and the choice among the sets.
#include <stdexcept>
#include <string>

#include "kernels.hpp"
#include "dispatch.hpp"
#include "network_loops.hpp"

namespace tessera {
namespace network_scalar {
namespace {

void multiply(const int16_t* a, size_t stride, size_t count, const ptrdiff_t* taps, size_t tap_count, size_t depth,
              size_t outputs, const int16_t* panel, int32_t* sums) {
    for (size_t i = 0; i < count; ++i, a += stride, sums += kPanel) {
        for (size_t o = 0; o < outputs; ++o) sums[o] = 0;
        const int16_t* w = panel;
        for (size_t t = 0; t < tap_count; ++t) {
            for (size_t k = 0; k < depth; k += 2, w += 2 * kPanel) {
                const int32_t first = a[taps[t] + static_cast<ptrdiff_t>(k)];
                const int32_t second = a[taps[t] + static_cast<ptrdiff_t>(k) + 1];
                for (size_t o = 0; o < outputs; ++o) sums[o] += first * w[2 * o] + second * w[2 * o + 1];
            }
        }
    }
}

void rescale(const int32_t* sums, const int32_t* multipliers, const int64_t* offsets, size_t outputs, int32_t* y) {
    for (size_t o = 0; o < outputs; ++o) {
        const int64_t scaled = int64_t{sums[o]} * multipliers[o] + offsets[o];
        y[o] = static_cast<int32_t>(scaled >> 32);
    }
}

#include "network_plain.inc"

}  // namespace
}  // namespace network_scalar

const NetworkLoops& scalar_network() {
    using namespace network_scalar;
    static const NetworkLoops loops{"scalar", multiply, nullptr, nullptr, nullptr, widen, depthwise, finish};
    return loops;
}

const NetworkLoops& find_network(const char* name) {
    const Path found = path_of(name);
#if TESSERA_X86
    if (found == Path::avx512_vnni) return avx512_network();
    if (found == Path::avx2) return avx2_network();
#endif
#if TESSERA_NEON
    if (name == nullptr) return neon_network();
#endif
    return scalar_network();
}

}  // namespace tessera
