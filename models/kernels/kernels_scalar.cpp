// The plain kernels, for every processor, and the list of all.
#include "kernels.hpp"

#include <cmath>
#include <cstring>

namespace tessera {
namespace scalar {
namespace {

void add_product(const Conv& conv, const uint32_t* x, int32_t* sums) {
    for (size_t block = 0; block < conv.outputs; ++block) {
        for (uint32_t entry = conv.first[block]; entry < conv.first[block + 1]; ++entry) {
            const uint32_t* from = x + conv.group[entry] * kTile;
            for (size_t o = 0; o < 4; ++o) {
                const uint32_t w = static_cast<uint32_t>(conv.weights[4 * entry + o]);
                int32_t* to = sums + (4 * block + o) * kTile;
                for (int k = 0; k < 4; ++k) {
                    const int32_t weight = static_cast<int8_t>(w >> (8 * k) & 0xff);
                    for (size_t i = 0; i < kTile; ++i)
                        to[i] += weight * static_cast<int32_t>(from[i] >> (8 * k) & 0xff);
                }
            }
        }
    }
}

void to_phases(const int32_t* samples, size_t cells, int32_t* phases) {
    for (size_t i = 0; i < cells; ++i) {
        for (size_t p = 0; p < 8; ++p) phases[p * cells + i] = samples[8 * i + p];
    }
}

void to_samples(const int32_t* phases, size_t cells, int32_t* samples) {
    for (size_t i = 0; i < cells; ++i) {
        for (size_t p = 0; p < 8; ++p) samples[8 * i + p] = phases[p * cells + i];
    }
}

#define TESSERA_WIDTH 4
#include "motion_loops.inc"
#include "lifting.inc"
#include "loops.inc"
#include "exact_loops.inc"
#include "table.inc"
#undef TESSERA_WIDTH

}  // namespace
}  // namespace scalar

const Kernels& scalar_kernels() {
    static constexpr Kernels kernels = scalar::make_kernels(Path::scalar);
    return kernels;
}

const Dispatch<Kernels>& dispatch() {
#if TESSERA_X86
    static const Dispatch<Kernels> all{&scalar_kernels(), &avx2_kernels(), &avx512_vnni_kernels()};
#else
    static const Dispatch<Kernels> all{&scalar_kernels()};
#endif
    return all;
}

}  // namespace tessera
