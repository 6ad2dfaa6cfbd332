// Running an integer network: layer by layer, each in chunks of cells that stay in the cache between their steps.
#include <algorithm>
#include <memory>
#include <vector>

#include "memory.hpp"
#include "network.hpp"
#include "network_loops.hpp"
#include "threads.hpp"

namespace tessera {
namespace {

constexpr size_t kSlack = kMostRows + 4;  // cells behind a tensor that may be read, and count for nothing

size_t rounded_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

// A tensor in its frame, see network_loops.hpp.
struct Tensor {
    size_t height, width, channels, pitch, columns, rows;
    Range range;
    Buffer<int16_t> store;

    Tensor(size_t h, size_t w, size_t c, const Range& r)
        : height(h), width(w), channels(c), pitch(rounded_up(c, kPanel / 2)), columns(rounded_up(w, 2) + 2),
          rows(rounded_up(h, 2) + 2), range(r), store((rows * columns + kSlack) * pitch) {
        int16_t* data = store.get();
        std::fill_n(data, row(), int16_t{0});
        std::fill(data + (height + 1) * row(), data + rows * row(), int16_t{0});
        for (size_t y = 1; y <= height; ++y) {
            std::fill_n(data + y * row(), pitch, int16_t{0});
            std::fill(data + y * row() + (width + 1) * pitch, data + (y + 1) * row(), int16_t{0});
        }
    }

    size_t row() const { return columns * pitch; }
    int16_t* cell(size_t y, size_t x) const { return store.get() + ((y + 1) * columns + x + 1) * pitch; }
};

// What a layer needs besides its weights.
struct Step {
    const Layer& layer;
    const Tensor& source;
    const Tensor* add;
    const Tensor& out;
    const int32_t* multipliers;  // rounded up to whole panels, as offsets
    const int64_t* offsets;
    const NetworkLoops& loops;

    size_t panels() const { return (layer.outputs + kPanel - 1) / kPanel; }
    size_t outputs(size_t panel) const { return std::min(kPanel, out.pitch - panel * kPanel); }

    void finish(size_t panel, const int32_t* sums, size_t y, size_t x, size_t count) const {
        const Finish last{multipliers + panel * kPanel,
                          offsets + panel * kPanel,
                          layer.table.empty() ? nullptr : layer.table.data(),
                          static_cast<int32_t>(layer.table.size()) - 1,
                          layer.range.low,
                          layer.range.high,
                          outputs(panel),
                          out.pitch,
                          add == nullptr ? 0 : add->pitch};
        const int16_t* other = add == nullptr ? nullptr : add->cell(y, x) + panel * kPanel;
        loops.finish(last, sums, count, other, out.cell(y, x) + panel * kPanel);
    }
};

// work(y, x, count) over the rows first..last in chunks.
template <typename Work>
void in_chunks(size_t first, size_t last, size_t width, const Work& work) {
    for (size_t y = first; y < last; ++y) {
        for (size_t x = 0; x < width; x += kChunk) work(y, x, std::min(kChunk, width - x));
    }
}

// Dense layers without a window.
void run_cells(const Step& step, size_t first, size_t last) {
    const Buffer<int32_t> sums(rounded_up(kChunk, kMostRows) * kPanel);
    const size_t pitch = step.source.pitch, depth = rounded_up(step.layer.inputs, 2);
    in_chunks(first, last, step.source.width, [&](size_t y, size_t x, size_t count) {
        for (size_t p = 0; p < step.panels(); ++p) {
            step.loops.multiply(step.source.cell(y, x), pitch, count, depth, step.outputs(p),
                                step.layer.panels.data() + p * kPanel * depth, sums.get());
            step.finish(p, sums.get(), y, x, count);
        }
    });
}

void run_depthwise(const Step& step, size_t first, size_t last) {
    const Buffer<int32_t> sums(kChunk * kPanel);
    const Tensor& source = step.source;
    const size_t side = step.layer.side;
    in_chunks(first, last, source.width, [&](size_t y, size_t x, size_t count) {
        for (size_t p = 0; p < step.panels(); ++p) {
            const int8_t* weights = step.layer.weights.data() + p * side * side * kPanel;
            for (size_t i = 0; i < count; ++i)
                step.loops.depthwise(source.cell(y, x + i) + p * kPanel, source.row(), source.pitch, side, weights,
                                     step.outputs(p), sums.get() + i * kPanel);
            step.finish(p, sums.get(), y, x, count);
        }
    });
}

// What Winograd's steps of a chunk of windows of 2 x 2 cells leave to each other. Frequencies lie apart by an odd
// number of cache lines, so that they do not compete for the same places of the cache.
class Chunk {
public:
    explicit Chunk(const Step& step)
        : step_(step), across_((step.source.width + 1) / 2), depth_(rounded_up(step.layer.inputs, 2)),
          step_in_(rounded_up(kChunk, kMostRows) * step.source.pitch + 160),
          step_out_(rounded_up(kChunk, kMostRows) * kPanel + 48), spread_(kFrequencies * step_in_),
          sums_(kFrequencies * step_out_), lines_(2 * kLine) {}

    size_t across() const { return across_; }

    // Windows start .. start + count, counted row by row.
    void run(size_t start, size_t count) {
        for (size_t i = 0; i < count; ++i) spread((start + i) / across_ * 2, (start + i) % across_ * 2, i);
        for (size_t panel = 0; panel < step_.panels(); ++panel) {
            multiply(panel, count);
            for (size_t i = 0; i < count;) {
                const size_t x = (start + i) % across_, part = std::min(across_ - x, count - i);
                finish(panel, (start + i) / across_ * 2, 2 * x, i, part);
                i += part;
            }
        }
    }

private:
    static constexpr size_t kLine = 2 * kChunk * kPanel;

    void spread(size_t y, size_t x, size_t i) {
        const Tensor& source = step_.source;
        const int16_t* corner = source.cell(y, x) - source.row() - source.pitch;
        step_.loops.spread(corner, source.row(), source.pitch, source.pitch, spread_.get() + i * source.pitch, step_in_);
    }

    void multiply(size_t panel, size_t count) {
        for (size_t f = 0; f < kFrequencies; ++f) {
            const int16_t* weights = step_.layer.panels.data() + (panel * kFrequencies + f) * kPanel * depth_;
            step_.loops.multiply(spread_.get() + f * step_in_, step_.source.pitch, count, depth_,
                                 step_.outputs(panel), weights, sums_.get() + f * step_out_);
        }
    }

    // `part` windows of one row, the first of which is the i-th of the chunk.
    void finish(size_t panel, size_t y, size_t x, size_t i, size_t part) {
        for (size_t k = 0; k < part; ++k)
            step_.loops.gather(sums_.get() + (i + k) * kPanel, step_out_, step_.outputs(panel),
                               lines_.get() + 2 * k * kPanel, kLine);
        const size_t wide = std::min(2 * part, step_.source.width - x);
        step_.finish(panel, lines_.get(), y, x, wide);
        if (y + 1 < step_.source.height) step_.finish(panel, lines_.get() + kLine, y + 1, x, wide);
    }

    const Step& step_;
    const size_t across_, depth_, step_in_, step_out_;
    const Buffer<int16_t> spread_;
    const Buffer<int32_t> sums_, lines_;
};

// first, last: rows of windows of 2 x 2 cells.
void run_winograd(const Step& step, size_t first, size_t last) {
    Chunk chunk(step);
    const size_t end = last * chunk.across();
    for (size_t start = first * chunk.across(); start < end; start += kChunk) chunk.run(start, std::min(kChunk, end - start));
}

void run_layer(const Step& step, size_t threads) {
    const bool winograd = step.layer.is_winograd();
    const size_t rows = winograd ? (step.source.height + 1) / 2 : step.source.height;
    in_parts(rows, threads, 1, [&](size_t first, size_t last) {
        if (winograd) {
            run_winograd(step, first, last);
        } else if (step.layer.depthwise) {
            run_depthwise(step, first, last);
        } else {
            run_cells(step, first, last);
        }
    });
}

void take_in(const int16_t* x, const Tensor& to, size_t first, size_t last) {
    const auto low = static_cast<int16_t>(to.range.low), high = static_cast<int16_t>(to.range.high);
    for (size_t y = first; y < last; ++y) {
        for (size_t i = 0; i < to.width; ++i) {
            const int16_t* from = x + (y * to.width + i) * to.channels;
            int16_t* cell = to.cell(y, i);
            for (size_t c = 0; c < to.channels; ++c) cell[c] = std::min(std::max(from[c], low), high);
            std::fill(cell + to.channels, cell + to.pitch, int16_t{0});
        }
    }
}

void hand_out(const Tensor& from, int16_t* out, size_t first, size_t last) {
    for (size_t y = first; y < last; ++y) {
        for (size_t i = 0; i < from.width; ++i)
            std::copy_n(from.cell(y, i), from.channels, out + (y * from.width + i) * from.channels);
    }
}

}  // namespace

void Network::run(const int16_t* x, size_t height, size_t width, const int32_t* multipliers, const int64_t* offsets,
                  int16_t* out, size_t threads, const NetworkLoops& loops) const {
    std::vector<std::unique_ptr<Tensor>> tensors;
    tensors.push_back(std::make_unique<Tensor>(height, width, inputs_, input_));
    in_parts(height, threads, 1, [&](size_t first, size_t last) { take_in(x, *tensors[0], first, last); });
    std::vector<int32_t> m;
    std::vector<int64_t> b;
    for (const Layer& layer : layers_) {
        const size_t made = tensors.size();
        m.assign(rounded_up(layer.outputs, kPanel), 0);
        b.assign(rounded_up(layer.outputs, kPanel), 0);
        std::copy_n(multipliers, layer.outputs, m.begin());
        std::copy_n(offsets, layer.outputs, b.begin());
        multipliers += layer.outputs;
        offsets += layer.outputs;
        tensors.push_back(std::make_unique<Tensor>(height, width, layer.outputs, layer.range));
        const Tensor* add = layer.add == 0 ? nullptr : tensors[layer.add].get();
        run_layer({layer, *tensors[layer.source], add, *tensors[made], m.data(), b.data(), loops}, threads);
        for (size_t t = 0; t < made; ++t) {
            if (last_use_[t] <= made) tensors[t].reset();
        }
    }
    in_parts(height, threads, 1, [&](size_t first, size_t last) { hand_out(*tensors.back(), out, first, last); });
}

}  // namespace tessera
