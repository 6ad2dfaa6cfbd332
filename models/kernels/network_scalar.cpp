// The plain loops of integer networks, and the tables to choose from.
#include "network_loops.hpp"

namespace tessera {
namespace network_scalar {
namespace {

void multiply(const int16_t* a, size_t stride, size_t count, size_t depth, size_t outputs, const int16_t* panel,
              int32_t* sums) {
    for (size_t i = 0; i < count; ++i, a += stride, sums += kPanel) {
        for (size_t o = 0; o < outputs; ++o) sums[o] = 0;
        const int16_t* w = panel;
        for (size_t k = 0; k < depth; k += 2, w += 2 * kPanel) {
            // as unsigned: 4 * sum of a 3 x 3 layer may pass 2^31 on its way
            for (size_t o = 0; o < outputs; ++o) {
                const int32_t added = a[k] * w[2 * o] + a[k + 1] * w[2 * o + 1];
                sums[o] = static_cast<int32_t>(static_cast<uint32_t>(sums[o]) + static_cast<uint32_t>(added));
            }
        }
    }
}

void spread(const int16_t* cells, size_t row, size_t pitch, size_t channels, int16_t* out, size_t step) {
    for (size_t c = 0; c < channels; ++c) {
        int32_t t[4][4];
        for (size_t y = 0; y < 4; ++y) {
            const int16_t* d = cells + y * row + c;
            t[y][0] = d[0] - d[2 * pitch];
            t[y][1] = d[pitch] + d[2 * pitch];
            t[y][2] = d[2 * pitch] - d[pitch];
            t[y][3] = d[pitch] - d[3 * pitch];
        }
        for (size_t x = 0; x < 4; ++x) {
            const int32_t column[4] = {t[0][x] - t[2][x], t[1][x] + t[2][x], t[2][x] - t[1][x], t[1][x] - t[3][x]};
            for (size_t y = 0; y < 4; ++y) out[(4 * y + x) * step + c] = static_cast<int16_t>(column[y]);
        }
    }
}

void gather(const int32_t* sums, size_t step, size_t outputs, int32_t* out, size_t line) {
    for (size_t o = 0; o < outputs; ++o) {
        uint32_t t[2][4];
        for (size_t x = 0; x < 4; ++x) {
            uint32_t m[4];
            for (size_t y = 0; y < 4; ++y) m[y] = static_cast<uint32_t>(sums[(4 * y + x) * step + o]);
            t[0][x] = m[0] + m[1] + m[2];
            t[1][x] = m[1] - m[2] - m[3];
        }
        for (size_t y = 0; y < 2; ++y) {
            out[y * line + o] = static_cast<int32_t>(t[y][0] + t[y][1] + t[y][2]) >> 2;
            out[y * line + kPanel + o] = static_cast<int32_t>(t[y][1] - t[y][2] - t[y][3]) >> 2;
        }
    }
}

template <size_t Outputs>
void rescale(const int32_t* sums, const int32_t* multipliers, const int64_t* offsets, int32_t* y) {
    for (size_t o = 0; o < Outputs; ++o) {
        const int64_t scaled = int64_t{sums[o]} * multipliers[o] + offsets[o];
        y[o] = static_cast<int32_t>(scaled >> 32);
    }
}

template <size_t Outputs>
void look_up(const int16_t* table, int32_t* y) {
    for (size_t o = 0; o < Outputs; ++o) y[o] = table[y[o]];
}

#include "network_plain.inc"

}  // namespace
}  // namespace network_scalar

const NetworkLoops& scalar_network() {
    static constexpr NetworkLoops loops = network_scalar::make_network(Path::scalar);
    return loops;
}

const Dispatch<NetworkLoops>& network_dispatch() {
#if TESSERA_X86
    static const Dispatch<NetworkLoops> all{&scalar_network(), &avx2_network(), &avx512_vnni_network()};
#elif TESSERA_NEON
    static const Dispatch<NetworkLoops> all{&scalar_network(), &neon_network()};
#else
    static const Dispatch<NetworkLoops> all{&scalar_network()};
#endif
    return all;
}

}  // namespace tessera
