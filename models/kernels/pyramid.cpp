#include "pyramid.hpp"

#include "constants.hpp"

namespace tessera {
namespace {

constexpr float kGain = static_cast<float>(kLowGain);

struct FloatLifting {
    void lift(float* to, const float* left, const float* right, size_t count, int step, bool undo) const {
        const float factor = undo ? -kLifting[step] : kLifting[step];
        for (size_t i = 0; i < count; ++i) to[i] += factor * (left[i] + right[i]);
    }
    void settle(float*, size_t) const {}
};

void scaled(const int32_t* from, float scale, size_t count, float* to) {
    for (size_t i = 0; i < count; ++i) to[i] = scale * static_cast<float>(from[i]);
}

}  // namespace

std::vector<float> unpyramid(const std::vector<Details>& details, const float* low, size_t height, size_t width) {
    std::vector<std::pair<size_t, size_t>> sizes{{height, width}};
    for (size_t level = 0; level < details.size(); ++level) {
        sizes.emplace_back((sizes.back().first + 1) / 2, (sizes.back().second + 1) / 2);
    }
    std::vector<float> plane(low, low + 3 * sizes.back().first * sizes.back().second), above, rows;
    for (size_t level = details.size(); level-- > 0;) {
        const auto [tall, wide] = sizes[level];
        const auto [h, w] = sizes[level + 1];
        above.resize(3 * tall * wide);
        rows.resize(4 * h * w);
        for (size_t axis = 0; axis < 3; ++axis) {
            const int32_t* symbols = details[level].symbols + 3 * axis * h * w;
            const float* scales = details[level].scales + 3 * axis;
            for (size_t y = 0; y < h; ++y) {
                float* row = rows.data() + 4 * y * w;
                const float* from = plane.data() + (axis * h + y) * w;
                // a band is low or high along either side, each with its gain
                for (size_t x = 0; x < w; ++x) row[x] = from[x] / (kGain * kGain);
                scaled(symbols + y * w, scales[0], w, row + w);
                scaled(symbols + (h + y) * w, scales[1], w, row + 2 * w);
                scaled(symbols + (2 * h + y) * w, scales[2] * kGain * kGain, w, row + 3 * w);
            }
            merge_rows(FloatLifting{}, rows.data(), tall, wide, above.data() + axis * tall * wide);
        }
        plane.swap(above);
    }
    return plane;
}

}  // namespace tessera
