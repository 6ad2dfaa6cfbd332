// Weights as the kernels take them, and the maps that convolutions read.
#include "prior.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace tessera {
namespace {

// Floor of half, for -2..3.
int half(int x) { return (x + 4) / 2 - 2; }

}  // namespace

void check_sums(const Weights& weights, int32_t limit) {
    const size_t inputs = weights.inputs * weights.side * weights.side;
    for (size_t o = 0; o < weights.outputs; ++o) {
        int64_t room = kLargestSum / limit;
        for (size_t i = 0; i < inputs && room >= 0; ++i) room -= std::abs(int64_t{weights.data[o * inputs + i]});
        if (room < 0) throw std::invalid_argument("the weights of a convolution are too large");
    }
}

namespace {

Conv pack_all(const Weights& weights, int32_t limit) {
    check_sums(weights, limit);
    return pack(weights, 0, weights.inputs);
}

}  // namespace

Conv pack(const Weights& weights, size_t from, size_t to) {
    const size_t taps = weights.side * weights.side;
    const size_t inputs = (to - from) * taps;
    Conv conv;
    conv.inputs = groups_of(inputs);
    conv.outputs = groups_of(weights.outputs);
    const auto weight = [&](size_t output, size_t input) {
        if (output >= weights.outputs || input >= inputs) return 0;
        return weights.data[(output * weights.inputs + from) * taps + input];
    };
    for (size_t block = 0; block < conv.outputs; ++block) {
        conv.first.push_back(static_cast<uint32_t>(conv.group.size()));
        for (size_t group = 0; group < conv.inputs; ++group) {
            int32_t rest[4][4];
            for (size_t o = 0; o < 4; ++o) {
                for (size_t k = 0; k < 4; ++k) rest[o][k] = weight(4 * block + o, 4 * group + k);
            }
            for (;;) {
                bool any = false;
                int32_t words[4];
                for (size_t o = 0; o < 4; ++o) {
                    uint32_t word = 0;
                    for (size_t k = 0; k < 4; ++k) {
                        const int32_t part = std::clamp(rest[o][k], -128, 127);
                        rest[o][k] -= part;
                        any |= part != 0;
                        word |= (static_cast<uint32_t>(part) & 0xff) << (8 * k);
                    }
                    words[o] = static_cast<int32_t>(word);
                }
                if (!any) break;
                conv.group.push_back(static_cast<uint32_t>(group));
                conv.weights.insert(conv.weights.end(), words, words + 4);
            }
        }
    }
    conv.first.push_back(static_cast<uint32_t>(conv.group.size()));
    return conv;
}

Level::Level(const Weights& weights)
    : hidden(weights.outputs), coarse_channels(weights.inputs), coarse(pack_all(weights, kLargestFeature)) {
    if (hidden % 4 != 0) throw std::invalid_argument("the hidden channels must be a multiple of 4");
    if (weights.side != 3) throw std::invalid_argument("the coarse convolution must be 3 x 3");
}

void Level::add(const Weights& first, const Weights& near, const Weights& second, const Weights* context) {
    if (walked) throw std::logic_error("a level that has been walked takes no more slices");
    Slice slice;
    slice.start = channels;
    slice.count = first.outputs;
    const bool fits = first.inputs == hidden && first.side == 1 && near.outputs == slice.count && near.inputs == 1 &&
                      near.side == 5 && second.outputs == slice.count && second.inputs == hidden + slice.count &&
                      second.side == 1;
    if (!fits || slice.count == 0) throw std::invalid_argument("the convolutions of a slice do not fit together");
    if (slices.size() == kMostSlices) throw std::invalid_argument("a level has too many slices");
    check_sums(near, kLargestFeature);
    check_sums(second, kLargestActivation);
    slice.first = pack_all(first, kLargestActivation);
    slice.second_hidden = pack(second, 0, hidden);
    slice.second_near = pack(second, hidden, hidden + slice.count);
    for (size_t c = 0; c < slice.count; ++c) {
        for (size_t tap = 1; tap < 25; tap += 2) slice.near.push_back(near.data[25 * c + tap]);
    }
    if (context != nullptr) {
        if (context->outputs != hidden || context->inputs != slice.count ||
            (context->side != 1 && context->side != 3)) {
            throw std::invalid_argument("the context convolution does not fit its slice");
        }
        slice.reach = context->side;
        slice.context = pack_all(*context, kLargestFeature);
    }
    channels += slice.count;
    slices.push_back(std::move(slice));
}

void Level::add_hints(const Weights& weights) {
    if (walked || hint_channels != 0) throw std::logic_error("a level takes hints once, before it is walked");
    if (weights.outputs != hidden || weights.side != 1 || weights.inputs == 0) {
        throw std::invalid_argument("the convolution of the hints must be 1 x 1 and fit the hidden channels");
    }
    hints = pack_all(weights, kLargestFeature);
    hint_channels = weights.inputs;
}

Maps::Maps(size_t channels, size_t height, size_t width)
    : height_(height), rows_(height + 2 * kNearReach), pitch_((width + 1) / 2 + 2),
      bytes_(channels * 2 * rows_ * pitch_, 0), marks_(channels * height) {}

void Maps::clear() {
    for (size_t at = 0; at < marks_.size(); ++at) {
        if (marks_[at].exchange(0, std::memory_order_relaxed) == 0) continue;
        const size_t channel = at / height_, line = at % height_ + kNearReach;
        for (size_t parity = 0; parity < 2; ++parity)
            std::fill_n(bytes_.data() + ((2 * channel + parity) * rows_ + line) * pitch_, pitch_, uint8_t{0});
    }
}

bool Maps::holds(size_t channel, size_t first, size_t last, size_t reach) const {
    const size_t end = std::min(height_, last + reach + 1);
    for (size_t y = first > reach ? first - reach : 0; y < end; ++y) {
        if (marks_[channel * height_ + y].load(std::memory_order_relaxed) != 0) return true;
    }
    return false;
}

const uint8_t* Maps::row(size_t channel, int parity, size_t y, int dy, int dx) const {
    const int first = (static_cast<int>(y & 1) + parity) & 1;  // x of place 0
    const int other = (parity + dy + dx) & 1;
    const size_t line = y + static_cast<size_t>(kNearReach + dy);
    return bytes_.data() + ((2 * channel + static_cast<size_t>(other)) * rows_ + line) * pitch_ + 1 + half(first + dx);
}

uint8_t* Maps::row(size_t channel, int parity, size_t y) { return const_cast<uint8_t*>(row(channel, parity, y, 0, 0)); }

}  // namespace tessera
