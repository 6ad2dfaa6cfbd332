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
    if (range.low > range.high || range.low < -32768 || range.high > 32767) refuse("a range must fit 16 bits");
}

// The weight of output o for input k in a panel of `depth` inputs.
size_t in_panel(size_t o, size_t k) { return (k / 2 * kPanel + o % kPanel) * 2 + k % 2; }

std::vector<int16_t> plain_panels(const Layer& layer) {
    const size_t size = kPanel * rounded_up(layer.inputs, 2);
    std::vector<int16_t> out(rounded_up(layer.outputs, kPanel) / kPanel * size, 0);
    for (size_t o = 0; o < layer.outputs; ++o) {
        for (size_t k = 0; k < layer.inputs; ++k)
            out[o / kPanel * size + in_panel(o, k)] = layer.weights[o * layer.inputs + k];
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

// Weights transformed for Winograd: the frequencies of panel 0, then those of panel 1, ...
std::vector<int16_t> winograd_panels(const Layer& layer) {
    const size_t size = kPanel * rounded_up(layer.inputs, 2);
    std::vector<int16_t> out(rounded_up(layer.outputs, kPanel) / kPanel * kFrequencies * size, 0);
    for (size_t o = 0; o < layer.outputs; ++o) {
        int16_t* panel = out.data() + o / kPanel * kFrequencies * size;
        for (size_t k = 0; k < layer.inputs; ++k) {
            int16_t cells[kFrequencies];
            transformed(layer.weights.data() + o * 9 * layer.inputs + k, layer.inputs, cells);
            for (size_t f = 0; f < kFrequencies; ++f) panel[f * size + in_panel(o, k)] = cells[f];
        }
    }
    return out;
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
    Layer layer{source, add, side, false, channels(source), outputs, range, std::move(table), {}, {}};
    layer.weights.assign(weights, weights + outputs * side * side * layer.inputs);
    return push(std::move(layer));
}

size_t Network::depthwise(size_t source, const int8_t* weights, size_t side, size_t add, std::vector<int16_t> table,
                          const Range& range) {
    if (source > layers_.size()) refuse("source names a tensor that does not exist");
    if (side != 1 && side != 3) refuse("side must be 1 or 3");
    const size_t count = channels(source);
    Layer layer{source, add, side, true, count, count, range, std::move(table), {}, {}};
    layer.weights.assign(weights, weights + side * side * count);
    return push(std::move(layer));
}

size_t Network::push(Layer layer) {
    if (layers_.size() == kMostLayers) refuse("a network has too many layers");
    check(layer.range);
    if (layer.table.size() > kMostEntries) refuse("a table has too many entries");
    if (layer.add != 0) {
        if (layer.add > layers_.size()) refuse("add names a tensor that does not exist");
        if (channels(layer.add) != layer.outputs) refuse("what is added must have as many channels");
    }
    const Range& source = range(layer.source);
    const bool winograd = layer.is_winograd();
    if (winograd && source.reach() > kWinogradReach) refuse("a 3 x 3 layer reads numbers beyond 14 bits");
    if (largest_mass(layer) * source.reach() >= (winograd ? kWinogradSumLimit : kSumLimit))
        refuse("sums of layer " + std::to_string(layers_.size() + 1) + " may overflow: use smaller weights or ranges");
    if (layer.depthwise) {
        pack_depthwise(layer);
    } else {
        layer.panels = layer.is_winograd() ? winograd_panels(layer) : plain_panels(layer);
        layer.weights.clear();
    }
    if (!layer.table.empty()) layer.table.push_back(0);  // vector paths read entries in pairs
    const size_t made = layers_.size() + 1;
    last_use_[layer.source] = made;
    if (layer.add != 0) last_use_[layer.add] = made;
    last_use_.push_back(made);
    layers_.push_back(std::move(layer));
    return made;
}

}  // namespace tessera
