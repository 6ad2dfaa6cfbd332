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
size_t pitch_of(size_t channels) { return rounded_up(channels, kPanel / 2); }

// A tensor in its frame, see network_loops.hpp.
struct Tensor {
    size_t height, width, channels, pitch, columns, rows;
    Range range;
    Buffer<uint8_t> store;

    Tensor(size_t h, size_t w, size_t c, const Range& r)
        : height(h), width(w), channels(c), pitch(pitch_of(c)), columns(rounded_up(w, 2) + 2),
          rows(rounded_up(h, 2) + 2), range(r),
          store((rows * columns + kSlack) * pitch * (r.bytes ? 1 : 2)) {
        if (range.bytes) {
            frame(store.get(), static_cast<uint8_t>(range.zero));
        } else {
            frame(words(), int16_t{0});
        }
    }

    int16_t* words() const { return reinterpret_cast<int16_t*>(store.get()); }
    size_t row() const { return columns * pitch; }
    size_t at(size_t y, size_t x) const { return ((y + 1) * columns + x + 1) * pitch; }
    void* cell(size_t y, size_t x) const { return store.get() + at(y, x) * (range.bytes ? 1 : 2); }

    template <typename T>
    void frame(T* data, T zero) const {
        std::fill_n(data, row(), zero);
        std::fill(data + (height + 1) * row(), data + rows * row(), zero);
        for (size_t y = 1; y <= height; ++y) {
            std::fill_n(data + y * row(), pitch, zero);
            std::fill(data + y * row() + (width + 1) * pitch, data + (y + 1) * row(), zero);
        }
    }
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
                          static_cast<int32_t>(layer.table.size()),
                          layer.range.low,
                          layer.range.high,
                          layer.range.bytes,
                          outputs(panel),
                          out.pitch,
                          add == nullptr ? 0 : add->pitch};
        const int16_t* other = add == nullptr ? nullptr : add->words() + add->at(y, x) + panel * kPanel;
        uint8_t* to = static_cast<uint8_t*>(out.cell(y, x)) + panel * kPanel * (layer.range.bytes ? 1 : 2);
        loops.finish(last, sums, count, other, to);
    }
};

// The window around up to kChunk cells of a row as words: in place, or widened.
class Windows {
public:
    explicit Windows(const Step& step)
        : step_(step), widened_(step.source.range.bytes ? 3 * (kChunk + kSlack) * step.source.pitch : 0) {}

    size_t row() const { return step_.source.range.bytes ? (kChunk + kSlack) * step_.source.pitch : step_.source.row(); }

    // The cell (y, x); around it lie its neighbours, `row()` and a pitch apart.
    const int16_t* at(size_t y, size_t x, size_t count) {
        const Tensor& source = step_.source;
        if (!source.range.bytes) return source.words() + source.at(y, x);
        const size_t reach = step_.layer.side / 2;
        for (size_t line = 1 - reach; line <= 1 + reach; ++line) {
            step_.loops.widen(source.store.get() + source.at(y, x) + line * source.row() - source.row() - source.pitch,
                              (count + 2) * source.pitch, source.range.zero, widened_.data() + line * row());
        }
        return widened_.data() + row() + source.pitch;
    }

private:
    const Step& step_;
    std::vector<int16_t> widened_;
};

std::vector<ptrdiff_t> taps_of(size_t side, size_t row, size_t pitch) {
    std::vector<ptrdiff_t> taps;
    const ptrdiff_t reach = static_cast<ptrdiff_t>(side / 2);
    for (ptrdiff_t y = -reach; y <= reach; ++y) {
        for (ptrdiff_t x = -reach; x <= reach; ++x)
            taps.push_back(y * static_cast<ptrdiff_t>(row) + x * static_cast<ptrdiff_t>(pitch));
    }
    return taps;
}

// work(y, x, count) over the rows first..last in chunks.
template <typename Work>
void in_chunks(size_t first, size_t last, size_t width, const Work& work) {
    for (size_t y = first; y < last; ++y) {
        for (size_t x = 0; x < width; x += kChunk) work(y, x, std::min(kChunk, width - x));
    }
}

void run_direct(const Step& step, size_t first, size_t last) {
    Windows windows(step);
    const Buffer<int32_t> sums(rounded_up(kChunk, kMostRows) * kPanel);
    const size_t pitch = step.source.pitch, depth = rounded_up(step.layer.inputs, 2);
    const std::vector<ptrdiff_t> taps = taps_of(step.layer.side, windows.row(), pitch);
    in_chunks(first, last, step.source.width, [&](size_t y, size_t x, size_t count) {
        const int16_t* cells = windows.at(y, x, count);
        for (size_t p = 0; p < step.panels(); ++p) {
            step.loops.multiply(cells, pitch, count, taps.data(), taps.size(), depth, step.outputs(p),
                                step.layer.panels.data() + p * kPanel * taps.size() * depth, sums.get());
            step.finish(p, sums.get(), y, x, count);
        }
    });
}

void run_bytes(const Step& step, size_t first, size_t last) {
    const Buffer<int32_t> sums(rounded_up(kChunk, kMostRows) * kPanel);
    const Tensor& source = step.source;
    const size_t depth = rounded_up(step.layer.inputs, 4);
    const std::vector<ptrdiff_t> taps = taps_of(step.layer.side, source.row(), source.pitch);
    in_chunks(first, last, source.width, [&](size_t y, size_t x, size_t count) {
        const uint8_t* cells = source.store.get() + source.at(y, x);
        for (size_t p = 0; p < step.panels(); ++p) {
            step.loops.multiply_bytes(cells, source.pitch, count, taps.data(), taps.size(), depth, step.outputs(p),
                                      step.layer.byte_panels.data() + p * kPanel * taps.size() * depth,
                                      step.layer.byte_start.data() + p * kPanel, sums.get());
            step.finish(p, sums.get(), y, x, count);
        }
    });
}

void run_depthwise(const Step& step, size_t first, size_t last) {
    Windows windows(step);
    const Buffer<int32_t> sums(kChunk * kPanel);
    const size_t pitch = step.source.pitch, positions = step.layer.side * step.layer.side;
    in_chunks(first, last, step.source.width, [&](size_t y, size_t x, size_t count) {
        const int16_t* cells = windows.at(y, x, count);
        for (size_t p = 0; p < step.panels(); ++p) {
            const int8_t* weights = step.layer.weights.data() + p * positions * kPanel;
            for (size_t i = 0; i < count; ++i)
                step.loops.depthwise(cells + i * pitch + p * kPanel, windows.row(), pitch, step.layer.side, weights,
                                     step.outputs(p), sums.get() + i * kPanel);
            step.finish(p, sums.get(), y, x, count);
        }
    });
}

// first, last: rows of windows of 2 x 2 cells.
void run_winograd(const Step& step, size_t first, size_t last) {
    const Tensor& source = step.source;
    const size_t pitch = source.pitch, depth = rounded_up(step.layer.inputs, 2), across = (source.width + 1) / 2;
    const size_t rows = rounded_up(kChunk, kMostRows), step_in = rows * pitch, step_out = rows * kPanel;
    const Buffer<int16_t> spread(kFrequencies * step_in);
    const Buffer<int32_t> sums(kFrequencies * step_out);
    const Buffer<int16_t> patch(source.range.bytes ? 16 * pitch : 1);
    const ptrdiff_t tap = 0;
    for (size_t start = first * across; start < last * across; start += kChunk) {
        const size_t count = std::min(kChunk, last * across - start);
        for (size_t i = 0; i < count; ++i) {
            const size_t y = (start + i) / across * 2, x = (start + i) % across * 2;
            const size_t corner = source.at(y, x) - source.row() - pitch;
            int16_t* to = spread.get() + i * pitch;
            if (source.range.bytes) {
                for (size_t line = 0; line < 4; ++line)
                    step.loops.widen(source.store.get() + corner + line * source.row(), 4 * pitch, source.range.zero,
                                     patch.get() + line * 4 * pitch);
                step.loops.spread(patch.get(), 4 * pitch, pitch, pitch, to, step_in);
            } else {
                step.loops.spread(source.words() + corner, source.row(), pitch, pitch, to, step_in);
            }
        }
        for (size_t p = 0; p < step.panels(); ++p) {
            for (size_t f = 0; f < kFrequencies; ++f) {
                const int16_t* weights = step.layer.winograd.data() + (f * step.panels() + p) * kPanel * depth;
                step.loops.multiply(spread.get() + f * step_in, pitch, count, &tap, 1, depth, step.outputs(p), weights,
                                    sums.get() + f * step_out);
            }
            for (size_t i = 0; i < count; ++i) {
                const size_t y = (start + i) / across * 2, x = (start + i) % across * 2;
                alignas(64) int32_t cells[4 * kPanel];
                step.loops.gather(sums.get() + i * kPanel, step_out, step.outputs(p), cells);
                const size_t wide = std::min<size_t>(2, source.width - x), high = std::min<size_t>(2, source.height - y);
                for (size_t line = 0; line < high; ++line)
                    step.finish(p, cells + 2 * line * kPanel, y + line, x, wide);
            }
        }
    }
}

void run_layer(const Step& step, size_t threads) {
    const size_t height = step.source.height;
    const bool bytes = step.source.range.bytes && step.loops.multiply_bytes != nullptr;
    if (step.layer.is_winograd() && step.loops.spread != nullptr && !bytes) {
        in_parts((height + 1) / 2, threads, 1, [&](size_t first, size_t last) { run_winograd(step, first, last); });
        return;
    }
    in_parts(height, threads, 1, [&](size_t first, size_t last) {
        if (step.layer.depthwise) {
            run_depthwise(step, first, last);
        } else if (bytes) {
            run_bytes(step, first, last);
        } else {
            run_direct(step, first, last);
        }
    });
}

template <typename T>
void take_in(const T* x, const Tensor& to, size_t first, size_t last) {
    const T low = static_cast<T>(to.range.low), high = static_cast<T>(to.range.high);
    for (size_t y = first; y < last; ++y) {
        for (size_t i = 0; i < to.width; ++i) {
            const T* from = x + (y * to.width + i) * to.channels;
            T* cell = static_cast<T*>(to.cell(y, i));
            for (size_t c = 0; c < to.channels; ++c) cell[c] = std::min(std::max(from[c], low), high);
            std::fill(cell + to.channels, cell + to.pitch, T{0});
        }
    }
}

template <typename T>
void hand_out(const Tensor& from, T* out, size_t first, size_t last) {
    for (size_t y = first; y < last; ++y) {
        for (size_t i = 0; i < from.width; ++i)
            std::copy_n(static_cast<const T*>(from.cell(y, i)), from.channels, out + (y * from.width + i) * from.channels);
    }
}

}  // namespace

void Network::run(const void* x, size_t height, size_t width, const int32_t* multipliers, const int64_t* offsets,
                  void* out, size_t threads, const NetworkLoops& loops) const {
    std::vector<std::unique_ptr<Tensor>> tensors;
    tensors.push_back(std::make_unique<Tensor>(height, width, inputs_, input_));
    in_parts(height, threads, 1, [&](size_t first, size_t last) {
        if (input_.bytes) {
            take_in(static_cast<const uint8_t*>(x), *tensors[0], first, last);
        } else {
            take_in(static_cast<const int16_t*>(x), *tensors[0], first, last);
        }
    });
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
    const Tensor& last = *tensors.back();
    in_parts(height, threads, 1, [&](size_t first, size_t end) {
        if (last.range.bytes) {
            hand_out(last, static_cast<uint8_t*>(out), first, end);
        } else {
            hand_out(last, static_cast<int16_t*>(out), first, end);
        }
    });
}

}  // namespace tessera
