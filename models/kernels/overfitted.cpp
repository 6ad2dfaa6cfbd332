// The numbers of a fitted picture, checked and as the loops take them.
#include "overfitted.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace tessera {
namespace {

// Reads tensors in the order of coding.
class Tensors {
public:
    explicit Tensors(const std::vector<FittedTensor>& tensors) : tensors_(tensors) {}

    const FittedTensor& next(size_t size, int least_bits, int most_bits) {
        if (at_ == tensors_.size()) throw std::invalid_argument("a fitted picture has too few tensors");
        const FittedTensor& tensor = tensors_[at_++];
        if (tensor.values.size() != size) throw misfit("has the wrong size");
        if (tensor.bits < least_bits || tensor.bits > most_bits) throw misfit("has bits that are out of range");
        for (const int32_t value : tensor.values) {
            if (value < -kLargestWeight || value > kLargestWeight) throw misfit("has a number that is out of range");
        }
        return tensor;
    }

    // Of `outputs` answers of `inputs` inputs; input_bits and bits: fraction bits of those and of the answers; reach:
    // largest magnitude of an input.
    FittedLayer layer(size_t outputs, size_t inputs, int input_bits, int bits, int32_t reach, bool has_biases) {
        const FittedTensor& weights = next(outputs * inputs, std::max(0, bits - input_bits), 12);
        FittedLayer found{weights.values, std::vector<int32_t>(outputs), weights.bits + input_bits - bits};
        std::vector<int64_t> biases(outputs, 0);
        if (has_biases) {
            const FittedTensor& given = next(outputs, 0, 16);
            const int shift = weights.bits + input_bits - given.bits;
            for (size_t o = 0; o < outputs; ++o) biases[o] = shifted(given.values[o], shift);
        }
        for (size_t o = 0; o < outputs; ++o) {
            check_sum(found.weights.data() + o * inputs, inputs, biases[o], reach);
            found.biases[o] = static_cast<int32_t>(biases[o]) + half_of(found.shift);
        }
        return found;
    }

    // A row of taps for each of `rows` levels; `twice`: whether all but the last tap count twice.
    std::vector<FittedFilter> filters(size_t rows, bool twice) {
        std::vector<FittedFilter> found;
        if (rows == 0) return found;
        const FittedTensor& taps = next(4 * rows, 0, 12);
        for (size_t row = 0; row < rows; ++row) {
            const int32_t* from = taps.values.data() + 4 * row;
            check_sum(from, 4, 0, kClip17);
            if (twice) {
                const int32_t both[] = {from[0], from[0], from[1], from[1], from[2], from[2], from[3]};
                check_sum(both, 7, 0, kClip17);
            }
            found.push_back({{from[0], from[1], from[2], from[3]}, half_of(taps.bits), taps.bits});
        }
        return found;
    }

    void finish() const {
        if (at_ != tensors_.size()) throw std::invalid_argument("a fitted picture has too many tensors");
    }

private:
    static int32_t half_of(int shift) { return shift == 0 ? 0 : 1 << (shift - 1); }

    // A bias in units of the sums.
    static int64_t shifted(int32_t bias, int shift) {
        if (shift >= 0) return int64_t{bias} * (int64_t{1} << shift);
        return (int64_t{bias} + half_of(-shift)) >> -shift;
    }

    void check_sum(const int32_t* weights, size_t n, int64_t bias, int32_t reach) const {
        int64_t sum = 0;
        for (size_t i = 0; i < n; ++i) sum += std::abs(int64_t{weights[i]});
        if (sum * reach + std::abs(bias) >= kFittedSumLimit) throw misfit("may make too large a sum");
    }

    std::invalid_argument misfit(const char* why) const {
        return std::invalid_argument("tensor " + std::to_string(at_) + " of a fitted picture " + why);
    }

    const std::vector<FittedTensor>& tensors_;
    size_t at_ = 0;
};

// Two weights of 16 bits in one number.
void pack(const std::vector<int32_t>& weights, int32_t* pairs) {
    for (size_t i = 0; i < weights.size(); i += 2) {
        const uint32_t low = static_cast<uint32_t>(weights[i]) & 0xffff;
        pairs[i / 2] = static_cast<int32_t>(low | static_cast<uint32_t>(weights[i + 1]) << 16);
    }
}

void read_context(Tensors& tensors, const OperatingPoint& point, ContextNetwork& to) {
    const size_t n = point.inputs();
    to = {};
    to.spatial = point.spatial;
    to.features = point.features;
    const auto read = [&](size_t outputs, int32_t* weights, int32_t* biases, int& shift) {
        const FittedLayer layer = tensors.layer(outputs, n, 6, 6, kClip15, true);
        pack(layer.weights, weights);
        std::copy(layer.biases.begin(), layer.biases.end(), biases);
        shift = layer.shift;
    };
    read(n, to.first, to.first_bias, to.first_shift);
    read(n, to.second, to.second_bias, to.second_shift);
    read(2, to.third, to.third_bias, to.third_shift);
    const FittedLayer beside = tensors.layer(2, n, 6, 6, kClip15, false);
    pack(beside.weights, to.beside);
    to.beside_bias = beside.biases[0];
    to.beside_shift = beside.shift;
}

}  // namespace

std::vector<GridShape> grid_shapes(size_t height, size_t width, size_t levels) {
    std::vector<GridShape> found;
    for (size_t level = levels; level-- > 0;) {
        const size_t unit = size_t{1} << level, h = (height + unit - 1) / unit, w = (width + unit - 1) / unit;
        if (level >= kFirstHyper) found.push_back({level, true, h, w});
        found.push_back({level, false, h, w});
    }
    return found;
}

FittedGrids::FittedGrids(size_t height, size_t width, size_t levels)
    : shapes(grid_shapes(height, width, levels)), first{0}, values([this] {
          for (const GridShape& shape : shapes) first.push_back(first.back() + shape.cells());
          return first.back();
      }()) {}

size_t FittedGrids::find(size_t level, bool hyper) const {
    size_t number = 0;
    while (shapes[number].level != level || shapes[number].hyper != hyper) ++number;
    return number;
}

FittedNetworks::FittedNetworks(size_t point, size_t levels, size_t channels, const std::vector<FittedTensor>& tensors)
    : levels_(levels), channels_(channels) {
    if (point >= sizeof kPoints / sizeof *kPoints) throw std::invalid_argument("there is no such operating point");
    if (levels < 1 || levels > kFittedLevels) throw std::invalid_argument("levels are out of range");
    if (channels != 1 && channels != 3) throw std::invalid_argument("channels must be 1 or 3");
    point_ = kPoints[point];
    Tensors from(tensors);
    read_context(from, point_, context);
    for (size_t level = kFeatureLevels; level-- > 0;) {
        if (level + 1 >= levels) continue;
        const size_t above = levels - level - 1, hyper = levels > kFirstHyper ? levels - kFirstHyper : 0;
        features[level] = from.layer(point_.features, above + hyper, 6, 6, kClip17, true);
    }
    // rows come from coarse to fine
    smooth = from.filters(levels - 1, false);
    own = from.filters(levels - 1, true);
    std::reverse(smooth.begin(), smooth.end());
    std::reverse(own.begin(), own.end());
    first = from.layer(point_.width, levels, 6, 8, kClip17, true);
    second = from.layer(channels, point_.width, 8, 8, kClip17, true);
    for (size_t i = 0; i < point_.windows; ++i) windows[i] = from.layer(channels, 9 * channels, 8, 8, kClip17, true);
    beside = from.layer(channels, levels, 6, 8, kClip17, false);
    from.finish();
}

}  // namespace tessera
