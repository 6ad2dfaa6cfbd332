// Networks that make pixels, in integers: the same numbers on every processor, instruction set and number of threads,
// and for every input and every quality. Twin: models/reference/integer_network.py.
//
// THE ARITHMETIC, from which a second implementation can be written.
//
// A tensor is (height, width, channels) of 16-bit signed integers in low..high, known for each tensor. Tensor 0 is the
// input, clamped to its range; each layer reads one earlier tensor and makes the next; the last is the answer. All
// tensors of a network have the same height and width.
//
// A layer with C outputs computes, for every cell (y, x) and output c:
//
//   sum    dense:      sum over the S x S window (S = 1 or 3) and all inputs k of w[c][dy][dx][k] * a[y+dy][x+dx][k]
//          depthwise:  sum over the window of w[dy][dx][c] * a[y+dy][x+dx][c]
//          The window is centred, what lies outside of the picture counts as 0, weights are 8-bit signed.
//   scale  y = (sum * m[c] + b[c]) >> 32         64-bit signed product and sum, arithmetic shift (rounds down)
//          m, 32-bit signed, and b, 64-bit signed, |b| <= 2^61, come with each run: they hold what depends on the
//          quality (gain and offset of a film, folded). m is the factor times 2^32, b is the offset times 2^32 plus
//          2^31, which makes the shift round to nearest, halves up.
//   curve  where the layer has a table of N entries (16-bit signed, N <= 4096):   y = table[clamp(y, 0, N - 1)]
//   add    where the layer names an earlier tensor of as many channels, not the input:   y = y + that[.][.][c]
//   clamp  y = clamp(y, low, high) of the layer's tensor
//
// What is checked when a network is built, so that no step overflows, with reach = largest |a| that the source allows:
//   dense 3 x 3     sum of |w| of each output * reach < 2^29, and reach <= 8191 (14 bits)
//   all others      sum of |w| of each output * reach < 2^31
// Then |sum * m| <= 2^62, |y| < 2^31 - 2^16 before adding, and y fits 32 bits in every step.
//
// HOW IT IS COMPUTED. The bounds of dense 3 x 3 layers make room for Winograd's F(2 x 2, 3 x 3) (Lavin and Gray, 2016)
// with 16-bit factors and without loss: with the weights' transform times 4 in integers (its rows 2g0, g0 + g1 + g2,
// g0 - g1 + g2, 2g2), cells grow by two bits, to at most 4 * 8191 < 2^15, weights to at most 9 * 128, and the sums are
// 4 * sum, exactly, modulo 2^32. So 16-bit activations need 4 products a cell instead of 9, which makes them as fast as
// direct 8-bit products of VNNI, and more than twice as fast as direct products on AVX2, whose byte products saturate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera {

struct NetworkLoops;  // network_loops.hpp

constexpr int32_t kWinogradReach = 8191;                 // largest |a| that a dense 3 x 3 layer reads, see above
constexpr int64_t kSumLimit = int64_t{1} << 31;          // no sum of a layer reaches it
constexpr int64_t kWinogradSumLimit = int64_t{1} << 29;  // no sum of a dense 3 x 3 layer reaches it
constexpr int64_t kOffsetLimit = int64_t{1} << 61;       // largest |b|
constexpr size_t kMostEntries = 4096;                    // bounds of a network, so that a weights file cannot ask for
constexpr size_t kMostChannels = 4096;                   // more memory than a network of this package needs
constexpr size_t kMostLayers = 256;

// What a tensor may hold.
struct Range {
    int32_t low, high;
    int32_t reach() const { return -low > high ? -low : high; }
};

struct Layer {
    size_t source;  // tensors are counted from 0, the input
    size_t add;     // 0 for none: the input is never added
    size_t side;    // rows and columns of the window
    bool depthwise;
    size_t inputs, outputs;
    Range range;                 // what the layer's tensor may hold
    std::vector<int16_t> table;  // and one entry more, for paths that read entries in pairs
    std::vector<int8_t> weights;  // as given: (outputs, side, side, inputs), depthwise (side, side, outputs)
    std::vector<int16_t> panels;  // weights of a dense layer, transformed where the side is 3: see network_loops.hpp
    bool is_winograd() const { return !depthwise && side == 3; }
};

class Network {
public:
    // Range of the input. Throws std::invalid_argument, as the others do.
    Network(size_t channels, const Range& range);

    // Add a layer; return the number of its tensor. weights: (outputs, side, side, inputs) or (side, side, outputs).
    size_t convolve(size_t source, const int8_t* weights, size_t outputs, size_t side, size_t add,
                    std::vector<int16_t> table, const Range& range);
    size_t depthwise(size_t source, const int8_t* weights, size_t side, size_t add, std::vector<int16_t> table,
                     const Range& range);

    size_t channels(size_t tensor) const { return tensor == 0 ? inputs_ : layers_[tensor - 1].outputs; }
    const Range& range(size_t tensor) const { return tensor == 0 ? input_ : layers_[tensor - 1].range; }
    size_t layers() const { return layers_.size(); }
    size_t outputs() const;  // outputs of all layers together: entries of m and b

    // x (height, width, channels(0)) -> out (height, width, channels(layers())). multipliers and offsets: m and b of
    // all layers in a row.
    void run(const int16_t* x, size_t height, size_t width, const int32_t* multipliers, const int64_t* offsets,
             int16_t* out, size_t threads, const NetworkLoops& loops) const;

private:
    size_t push(Layer layer);
    size_t inputs_;
    Range input_;
    std::vector<Layer> layers_;
    std::vector<size_t> last_use_;  // the last layer that reads each tensor
};

}  // namespace tessera
