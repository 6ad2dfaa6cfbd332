// The plain kernels, for every processor, and the list of all.
#include "kernels.hpp"

#include <cmath>
#include <cstring>
#include <type_traits>

namespace tessera {
namespace scalar {
namespace {

void add_product(const Conv& conv, const uint32_t* x, const uint8_t* used, int32_t* sums) {
    for (size_t block = 0; block < conv.outputs; ++block) {
        for (uint32_t entry = conv.first[block]; entry < conv.first[block + 1]; ++entry) {
            if (used != nullptr && used[conv.group[entry]] == 0) continue;
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

// 8 x 8 blocks turned, as transpose.inc does in registers.
template <typename T>
void turn_eight(const T* from, size_t from_pitch, T* to, size_t to_pitch) {
    for (size_t i = 0; i < 8; ++i) {
        for (size_t j = 0; j < 8; ++j) to[j * to_pitch + i] = from[i * from_pitch + j];
    }
}

#define TESSERA_WIDTH 4
#include "motion_loops.inc"
#include "lifting.inc"
#include "loops.inc"
#include "exact_loops.inc"
#include "word_loops.inc"
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
