// Weights of the walk over a dyadic pyramid, as the loops take them. check_sums keeps each of them within 16 bits.
#include <algorithm>
#include <stdexcept>

#include "dyadic_taps.hpp"

namespace tessera {
namespace {

void require(bool fits, const char* what) {
    if (!fits) throw std::invalid_argument(std::string(what) + " of a level does not fit");
}

// Two inputs of every output at one tap make a word; input `none` is zero.
struct Pair {
    size_t low, high;
};

// The taps of a convolution as inputs of a 1 x 1 one, pair by pair, of every `stride`th output from `first` on.
WordConv pack_words(const Weights& weights, const std::vector<Pair>& pairs, const Taps& taps, size_t first = 0,
                    size_t stride = 1) {
    const size_t area = weights.side * weights.side, outputs = weights.outputs / stride;
    const auto reach = static_cast<int>(weights.side / 2);
    WordConv conv{pairs.size() * taps.size(), (outputs + 3) / 4, {}};
    for (size_t block = 0; block < conv.blocks; ++block) {
        for (const Pair& pair : pairs) {
            for (const Tap& tap : taps) {
                const auto place = static_cast<size_t>((tap.dy + reach) * (2 * reach + 1) + tap.dx + reach);
                const auto weight = [&](size_t output, size_t input) -> uint32_t {
                    if (output >= outputs || input >= weights.inputs) return 0;
                    const size_t at = (output * stride + first) * weights.inputs + input;
                    return static_cast<uint32_t>(weights.data[at * area + place]) & 0xffff;
                };
                for (size_t o = 4 * block; o < 4 * block + 4; ++o) {
                    conv.weights.push_back(static_cast<int32_t>(weight(o, pair.low) | weight(o, pair.high) << 16));
                }
            }
        }
    }
    return conv;
}

// The words of one convolution and then those of another, whose sums are one.
WordConv joined(const WordConv& one, const WordConv& other) {
    WordConv both{one.words + other.words, one.blocks, {}};
    for (size_t block = 0; block < one.blocks; ++block) {
        for (const WordConv* part : {&one, &other}) {
            const auto from = part->weights.begin() + static_cast<std::ptrdiff_t>(4 * block * part->words);
            both.weights.insert(both.weights.end(), from, from + static_cast<std::ptrdiff_t>(4 * part->words));
        }
    }
    return both;
}

// Features with signs are the first half of the inputs, the same without signs the second.
std::vector<Pair> with_signs(const Weights& weights) {
    std::vector<Pair> pairs;
    for (size_t c = 0; c < weights.inputs / 2; ++c) pairs.push_back({c, weights.inputs / 2 + c});
    return pairs;
}

std::vector<Pair> side_by_side(const Weights& weights) {
    std::vector<Pair> pairs;
    for (size_t c = 0; c < weights.inputs; c += 2) pairs.push_back({c, c + 1});
    return pairs;
}

WordConv pack_features(const Weights& weights, const Taps& taps) {
    check_sums(weights, kLargestFeature);
    return pack_words(weights, with_signs(weights), taps);
}

WordConv pack_activations(const Weights& weights) {
    check_sums(weights, kLargestActivation);
    return pack_words(weights, side_by_side(weights), {{0, 0}});
}

bool shaped(const Weights& weights, size_t outputs, size_t inputs, size_t side) {
    return weights.outputs == outputs && weights.inputs == inputs && weights.side == side;
}

}  // namespace

DyadicLevel::DyadicLevel(const Weights& parent_weights, const Weights& low_weights) : hidden(low_weights.outputs) {
    require(hidden > 0 && hidden <= kMostHidden && hidden % 4 == 0, "the number of hidden channels");
    require(shaped(parent_weights, kPhases * hidden, kDyadicBands, 3), "the convolution of the coarser details");
    require(shaped(low_weights, hidden, 2 * kAxes, 5), "the convolution of the low plane");
    check_sums(parent_weights, kLargestFeature);
    const WordConv low = pack_features(low_weights, low_taps());
    for (size_t phase = 0; phase < kPhases; ++phase) {
        first[phase] = joined(
            pack_words(parent_weights, side_by_side(parent_weights), context_taps(), phase, kPhases), low);
    }
}

void DyadicLevel::add(const Weights (&views)[2], const Weights& near, const Weights (&heads)[2],
                      const Weights* context) {
    DyadicSlice slice;
    slice.start = channels;
    slice.count = heads[0].outputs / 2;
    if (view == 0) view = views[0].outputs;
    require(view > 0 && view <= kMostHidden && view % 4 == 0, "the number of view channels");
    require(slice.count > 0 && channels + slice.count <= kDyadicBands, "a slice");
    for (size_t k = 0; k < 2; ++k) {
        require(shaped(views[k], view, hidden, 1) && shaped(heads[k], 2 * slice.count, view, 1), "a slice");
        slice.view[k] = pack_activations(views[k]);
        slice.heads[k] = pack_activations(heads[k]);
    }
    require(shaped(near, view, 2 * slice.count, 5), "the convolution of neighbours");
    slice.view[1] = joined(slice.view[1], pack_features(near, near_taps()));
    if (context != nullptr) {
        require(shaped(*context, hidden, 2 * slice.count, 3), "the convolution of a slice");
        slice.context = pack_features(*context, context_taps());
    }
    channels += slice.count;
    slices.push_back(std::move(slice));
}

}  // namespace tessera
