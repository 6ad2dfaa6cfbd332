#include "network.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

#include "network_loops.hpp"

namespace tessera {
namespace {

size_t rounded_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument(what); }

void check(const Range& range) {
    const bool fits = range.bytes ? range.low >= 0 && range.high <= 255 && range.zero >= 0 && range.zero <= 255
                                  : range.low >= -32768 && range.high <= 32767 && range.zero == 0;
    if (!fits || range.low > range.high) refuse("a range does not fit its kind of tensor");
}

// weight(output, position of the window, input)
template <typename T, typename Weight>
std::vector<T> panels(size_t outputs, size_t positions, size_t inputs, size_t unit, const Weight& weight) {
    const size_t depth = rounded_up(inputs, unit);
    std::vector<T> out(rounded_up(outputs, kPanel) * positions * depth, 0);
    for (size_t o = 0; o < outputs; ++o) {
        T* panel = out.data() + o / kPanel * kPanel * positions * depth;
        for (size_t p = 0; p < positions; ++p) {
            for (size_t k = 0; k < inputs; ++k) {
                panel[((p * depth + k) / unit * kPanel + o % kPanel) * unit + k % unit] =
                    static_cast<T>(weight(o, p, k));
            }
        }
    }
    return out;
}

// 4 * G g G^T of one 3 x 3 window, `step` weights apart.
void transformed(const int8_t* g, size_t step, int16_t* out) {
    int32_t rows[4][3];
    for (size_t x = 0; x < 3; ++x) {
        const int32_t g0 = g[x * step], g1 = g[(3 + x) * step], g2 = g[(6 + x) * step];
        const int32_t column[4] = {2 * g0, g0 + g1 + g2, g0 - g1 + g2, 2 * g2};
        for (size_t y = 0; y < 4; ++y) rows[y][x] = column[y];
    }
    for (size_t y = 0; y < 4; ++y) {
        const int32_t* r = rows[y];
        const int32_t row[4] = {2 * r[0], r[0] + r[1] + r[2], r[0] - r[1] + r[2], 2 * r[2]};
        for (size_t x = 0; x < 4; ++x) out[4 * y + x] = static_cast<int16_t>(row[x]);
    }
}

// All panels of frequency 0, then those of 1, ...: panel p of frequency f is at (f * panels + p) * kPanel * depth.
std::vector<int16_t> winograd_panels(const Layer& layer) {
    std::vector<int16_t> cells(layer.outputs * layer.inputs * kFrequencies), out;
    for (size_t o = 0; o < layer.outputs; ++o) {
        for (size_t k = 0; k < layer.inputs; ++k) {
            transformed(layer.weights.data() + o * 9 * layer.inputs + k, layer.inputs,
                        &cells[(o * layer.inputs + k) * kFrequencies]);
        }
    }
    for (size_t f = 0; f < kFrequencies; ++f) {
        const auto weight = [&](size_t o, size_t, size_t k) { return cells[(o * layer.inputs + k) * kFrequencies + f]; };
        const std::vector<int16_t> part = panels<int16_t>(layer.outputs, 1, layer.inputs, 2, weight);
        out.insert(out.end(), part.begin(), part.end());
    }
    return out;
}

void pack_dense(Layer& layer, const Range& source) {
    const size_t positions = layer.side * layer.side;
    const int8_t* w = layer.weights.data();
    const auto weight = [&](size_t o, size_t p, size_t k) { return w[(o * positions + p) * layer.inputs + k]; };
    layer.panels = panels<int16_t>(layer.outputs, positions, layer.inputs, 2, weight);
    if (layer.is_winograd()) layer.winograd = winograd_panels(layer);
    if (!source.bytes) return;
    layer.byte_panels = panels<int8_t>(layer.outputs, positions, layer.inputs, 4, weight);
    layer.byte_start.assign(rounded_up(layer.outputs, kPanel), 0);
    for (size_t o = 0; o < layer.outputs; ++o) {
        for (size_t i = 0; i < positions * layer.inputs; ++i)
            layer.byte_start[o] -= source.zero * w[o * positions * layer.inputs + i];
    }
}

// For each panel and position of the window, the weights of its outputs.
void pack_depthwise(Layer& layer) {
    const size_t positions = layer.side * layer.side;
    const std::vector<int8_t> given = std::move(layer.weights);
    layer.weights.assign(rounded_up(layer.outputs, kPanel) * positions, 0);
    for (size_t o = 0; o < layer.outputs; ++o) {
        for (size_t p = 0; p < positions; ++p)
            layer.weights[(o / kPanel * positions + p) * kPanel + o % kPanel] = given[p * layer.outputs + o];
    }
}

int64_t largest_mass(const Layer& layer) {
    const size_t positions = layer.side * layer.side, inputs = layer.depthwise ? 1 : layer.inputs;
    const size_t of_output = layer.depthwise ? 1 : positions * inputs, of_position = layer.depthwise ? layer.outputs : inputs;
    int64_t most = 0;
    for (size_t o = 0; o < layer.outputs; ++o) {
        int64_t mass = 0;
        for (size_t p = 0; p < positions; ++p) {
            for (size_t k = 0; k < inputs; ++k) mass += std::abs(int32_t{layer.weights[o * of_output + p * of_position + k]});
        }
        most = std::max(most, mass);
    }
    return most;
}

}  // namespace

int32_t Range::reach() const { return std::max(std::abs(low - zero), std::abs(high - zero)); }

Network::Network(size_t channels, const Range& range) : inputs_(channels), input_(range), last_use_{0} {
    if (channels < 1 || channels > kMostChannels) refuse("channels is out of range");
    check(range);
}

size_t Network::outputs() const {
    size_t count = 0;
    for (const Layer& layer : layers_) count += layer.outputs;
    return count;
}

size_t Network::convolve(size_t source, const int8_t* weights, size_t outputs, size_t side, size_t add,
                         std::vector<int16_t> table, const Range& range) {
    if (source > layers_.size()) refuse("source names a tensor that does not exist");
    if (outputs < 1 || outputs > kMostChannels) refuse("outputs is out of range");
    if (side != 1 && side != 3) refuse("side must be 1 or 3");
    Layer layer{source, add, side, false, channels(source), outputs, range, std::move(table), {}, {}, {}, {}, {}};
    layer.weights.assign(weights, weights + outputs * side * side * layer.inputs);
    return push(std::move(layer));
}

size_t Network::depthwise(size_t source, const int8_t* weights, size_t side, size_t add, std::vector<int16_t> table,
                          const Range& range) {
    if (source > layers_.size()) refuse("source names a tensor that does not exist");
    if (side != 1 && side != 3) refuse("side must be 1 or 3");
    const size_t count = channels(source);
    Layer layer{source, add, side, true, count, count, range, std::move(table), {}, {}, {}, {}, {}};
    layer.weights.assign(weights, weights + side * side * count);
    return push(std::move(layer));
}

size_t Network::push(Layer layer) {
    if (layers_.size() == kMostLayers) refuse("a network has too many layers");
    check(layer.range);
    if (layer.table.size() > kMostEntries) refuse("a table has too many entries");
    if (layer.add != 0) {
        if (layer.add > layers_.size()) refuse("add names a tensor that does not exist");
        if (range(layer.add).bytes || channels(layer.add) != layer.outputs)
            refuse("what is added must be words and have as many channels");
    }
    const Range& source = range(layer.source);
    const bool dense = layer.is_winograd();
    if (dense && source.reach() > kWinogradReach) refuse("a 3 x 3 layer reads numbers beyond 14 bits");
    if (largest_mass(layer) * source.reach() >= (dense ? kWinogradSumLimit : kSumLimit))
        refuse("sums of layer " + std::to_string(layers_.size() + 1) + " may overflow: use smaller weights or ranges");
    if (layer.depthwise) {
        pack_depthwise(layer);
    } else {
        pack_dense(layer, source);
    }
    const size_t made = layers_.size() + 1;
    last_use_[layer.source] = made;
    if (layer.add != 0) last_use_[layer.add] = made;
    last_use_.push_back(made);
    layers_.push_back(std::move(layer));
    return made;
}

}  // namespace tessera
