// Weights and maps of the walk over a dyadic pyramid.
#include <algorithm>
#include <stdexcept>

#include "dyadic_taps.hpp"

namespace tessera {
namespace {

void require(bool fits, const char* what) {
    if (!fits) throw std::invalid_argument(std::string(what) + " of a level does not fit");
}

// The taps of a convolution as inputs of a 1 x 1 one, channel by channel, of every `stride`th output from `first` on.
Conv pack_taps(const Weights& weights, const Taps& taps, size_t first = 0, size_t stride = 1) {
    const size_t area = weights.side * weights.side, reach = weights.side / 2, outputs = weights.outputs / stride;
    std::vector<int32_t> kept;
    kept.reserve(outputs * weights.inputs * taps.size());
    for (size_t o = 0; o < outputs; ++o) {
        for (size_t c = 0; c < weights.inputs; ++c) {
            const int32_t* from = weights.data + ((o * stride + first) * weights.inputs + c) * area;
            for (const Tap& tap : taps) {
                const auto y = static_cast<size_t>(tap.dy + static_cast<int>(reach));
                const auto x = static_cast<size_t>(tap.dx + static_cast<int>(reach));
                kept.push_back(from[y * weights.side + x]);
            }
        }
    }
    const size_t inputs = weights.inputs * taps.size();
    return pack({kept.data(), outputs, inputs, 1}, 0, inputs);
}

// What the first half of the channels, which have signs, adds to every output where all features are 0.
std::vector<int32_t> zeros_of(const Weights& weights, const Taps& taps) {
    std::vector<int32_t> found;
    const size_t area = weights.side * weights.side, reach = weights.side / 2;
    for (size_t o = 0; o < weights.outputs; ++o) {
        int32_t sum = 0;
        for (size_t c = 0; c < weights.inputs / 2; ++c) {
            for (const Tap& tap : taps) {
                const auto y = static_cast<size_t>(tap.dy + static_cast<int>(reach));
                const auto x = static_cast<size_t>(tap.dx + static_cast<int>(reach));
                sum += weights.data[(o * weights.inputs + c) * area + y * weights.side + x];
            }
        }
        found.push_back(kLargestFeature * sum);
    }
    return found;
}

Conv pack_all(const Weights& weights) {
    check_sums(weights, kLargestActivation);
    return pack(weights, 0, weights.inputs);
}

bool shaped(const Weights& weights, size_t outputs, size_t inputs, size_t side) {
    return weights.outputs == outputs && weights.inputs == inputs && weights.side == side;
}

}  // namespace

DyadicLevel::DyadicLevel(const Weights& parent_weights, const Weights& low_weights) : hidden(low_weights.outputs) {
    require(hidden > 0 && hidden % 4 == 0, "the number of hidden channels");
    require(shaped(parent_weights, kPhases * hidden, kDyadicBands, 3), "the convolution of the coarser details");
    require(shaped(low_weights, hidden, 2 * kAxes, 5), "the convolution of the low plane");
    check_sums(parent_weights, kLargestFeature);
    check_sums(low_weights, kLargestFeature);
    for (size_t phase = 0; phase < kPhases; ++phase) {
        parent[phase] = pack_taps(parent_weights, context_taps(), phase, kPhases);
    }
    low = pack_taps(low_weights, low_taps());
    low_zeros = zeros_of(low_weights, low_taps());
}

void DyadicLevel::add(const Weights (&views)[2], const Weights& near, const Weights (&heads)[2],
                      const Weights* context) {
    DyadicSlice slice;
    slice.start = channels;
    slice.count = heads[0].outputs / 2;
    if (view == 0) view = views[0].outputs;
    require(view > 0 && view % 4 == 0, "the number of view channels");
    require(slice.count > 0 && channels + slice.count <= kDyadicBands, "a slice");
    for (size_t k = 0; k < 2; ++k) {
        require(shaped(views[k], view, hidden, 1) && shaped(heads[k], 2 * slice.count, view, 1), "a slice");
        slice.view[k] = pack_all(views[k]);
        slice.heads[k] = pack_all(heads[k]);
    }
    require(shaped(near, view, 2 * slice.count, 5), "the convolution of neighbours");
    check_sums(near, kLargestFeature);
    slice.near = pack_taps(near, near_taps());
    slice.near_zeros = zeros_of(near, near_taps());
    if (context != nullptr) {
        require(shaped(*context, hidden, 2 * slice.count, 3), "the convolution of a slice");
        check_sums(*context, kLargestFeature);
        slice.context = pack_taps(*context, context_taps());
        slice.context_zeros = zeros_of(*context, context_taps());
    }
    channels += slice.count;
    slices.push_back(std::move(slice));
}

PhaseMaps::PhaseMaps(size_t channels, size_t with_sign, size_t height, size_t width)
    : with_sign_(with_sign),
      rows_((height + 1) / 2 + 2),
      pitch_((width + 1) / 2 + 2),
      bytes_(channels * kPhases * rows_ * pitch_, 0) {
    clear();
}

void PhaseMaps::clear() {
    const size_t channel = kPhases * rows_ * pitch_;
    const auto end = bytes_.begin() + static_cast<std::ptrdiff_t>(with_sign_ * channel);
    std::fill(bytes_.begin(), end, static_cast<uint8_t>(kLargestFeature));
    std::fill(end, bytes_.end(), uint8_t{0});
}

const uint8_t* PhaseMaps::row(size_t channel, size_t phase, size_t y, int dy, int dx) const {
    // of the neighbour within two by two cells, shifted to be positive
    const auto down = static_cast<size_t>(static_cast<int>(phase / 2) + dy + 2);
    const auto right = static_cast<size_t>(static_cast<int>(phase % 2) + dx + 2);
    const size_t at = 2 * (down % 2) + right % 2;
    return bytes_.data() + ((channel * kPhases + at) * rows_ + y + down / 2) * pitch_ + right / 2;
}

}  // namespace tessera
