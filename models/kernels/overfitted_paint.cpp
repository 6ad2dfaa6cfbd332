// Pixels of a fitted picture: its grids as planes of the finest level, then the layers that make colours of them. Planes
// of level 1 and above are whole, those of level 0 are made row by row.
#include <algorithm>
#include <memory>
#include <vector>

#include "overfitted.hpp"
#include "threads.hpp"

namespace tessera {
namespace {

constexpr size_t kMargin = kFittedBlock;  // numbers before and behind a row that filters may look at
constexpr size_t kRing = 8;               // rows that are kept of what comes row by row
constexpr size_t kSmallestPart = 16;      // rows that are worth a thread

// Rows of numbers with margins, zeros at first; row y in the place of row y + rows.
class Ring {
public:
    Ring(size_t planes, size_t width, size_t rows = kRing)
        : pitch_(fitted_blocks(width) + 2 * kMargin), rows_(rows), data_(planes * rows * pitch_, 0) {}
    int32_t* row(size_t plane, size_t y) { return data_.data() + (plane * rows_ + y % rows_) * pitch_ + kMargin; }

private:
    size_t pitch_, rows_;
    std::vector<int32_t> data_;
};

// Whole planes of a level, own first.
struct Planes {
    Planes(size_t count_, size_t height_, size_t width_)
        : count(count_), height(height_), width(width_), pitch(fitted_blocks(width_)), data(count_ * height_ * pitch) {}
    int32_t* row(size_t plane, size_t y) const { return data.get() + (plane * height + y) * pitch; }
    size_t count, height, width, pitch;
    Buffer<int32_t> data;
};

// Rows of the planes of a level, in order from any row on.
class LevelRows {
public:
    // coarser: the planes of the next level; null at the last.
    LevelRows(const FittedNetworks& networks, const FittedGrids& grids, size_t level, const Planes* coarser,
              const FittedLoops& loops)
        : shape_(grids.shapes[grids.find(level, false)]), grid_(grids.grid(grids.find(level, false))),
          coarser_(coarser), loops_(loops), smooth_(coarser == nullptr ? FittedFilter{} : networks.smooth[level]),
          own_(coarser == nullptr ? FittedFilter{} : networks.own[level]),
          wide_(coarser == nullptr ? 0 : coarser->count, 2 * (coarser == nullptr ? 0 : coarser->width)),
          filtered_(1, shape_.width), row_(1, shape_.width, 1), zeros_(fitted_blocks(shape_.width), 0) {}

    size_t count() const { return coarser_ == nullptr ? 1 : 1 + coarser_->count; }

    // Row y: out has a row of each plane, rounded up to blocks.
    void make(size_t y, int32_t* const* out) {
        if (!begun_) begin(y);
        put_own(y, out[0]);
        if (coarser_ == nullptr) return;
        filter_own(y, out[0]);
        put_coarser(y, out + 1);
    }

private:
    void begin(size_t y) {
        begun_ = true;
        next_own_ = y < 3 ? 0 : y - 3;
        next_wide_ = y / 2 < 2 ? 0 : y / 2 - 2;
    }

    void put_own(size_t y, int32_t* out) const {
        const int16_t* from = grid_ + y * shape_.width;
        for (size_t x = 0; x < shape_.width; ++x) out[x] = 64 * from[x];
        std::fill(out + shape_.width, out + fitted_blocks(shape_.width), 0);
    }

    void filter_own(size_t y, int32_t* out) {
        if (std::all_of(own_.taps, own_.taps + 4, [](int32_t tap) { return tap == 0; })) return;
        for (; next_own_ < std::min(y + 4, shape_.height); ++next_own_) {
            int32_t* row = row_.row(0, 0);
            put_own(next_own_, row);
            std::fill_n(row - 3, 3, 0);
            loops_.filter_row(own_, row, shape_.width, filtered_.row(0, next_own_));
        }
        const int32_t* rows[7];
        for (size_t k = 0; k < 7; ++k) {
            const bool inside = y + k >= 3 && y + k < shape_.height + 3;
            rows[k] = inside ? filtered_.row(0, y + k - 3) : zeros_.data();
        }
        loops_.filter_column(own_, rows, shape_.width, out);
    }

    void put_coarser(size_t y, int32_t* const* out) {
        const size_t middle = y / 2, last = coarser_->height - 1;
        for (; next_wide_ <= std::min(middle + 2, last); ++next_wide_) {
            for (size_t plane = 0; plane < coarser_->count; ++plane) widen(plane, next_wide_);
        }
        for (size_t plane = 0; plane < coarser_->count; ++plane) {
            const int32_t* rows[4];
            for (size_t k = 0; k < 4; ++k) {
                const size_t at = middle + k + y % 2;  // two more than the row
                rows[k] = wide_.row(plane, at < 2 ? 0 : std::min(at - 2, last));
            }
            loops_.heighten(smooth_, rows, y % 2 == 1, shape_.width, out[plane]);
        }
    }

    void widen(size_t plane, size_t y) {
        const size_t n = coarser_->width;
        int32_t* row = row_.row(0, 0);
        std::copy_n(coarser_->row(plane, y), n, row);
        row[-2] = row[-1] = row[0];
        row[n] = row[n + 1] = row[n - 1];
        loops_.widen(smooth_, row, n, wide_.row(plane, y));
    }

    const GridShape& shape_;
    const int16_t* grid_;
    const Planes* coarser_;
    const FittedLoops& loops_;
    const FittedFilter smooth_, own_;
    Ring wide_, filtered_, row_;
    std::vector<int32_t> zeros_;
    size_t next_own_ = 0, next_wide_ = 0;
    bool begun_ = false;
};

PixelLayer layer_of(const FittedLayer& layer) {
    const size_t outputs = layer.biases.size();
    return {layer.weights.data(), layer.biases.data(), layer.shift, layer.weights.size() / outputs, outputs};
}

// Rows of pixels, in order from any row on.
class PixelRows {
public:
    PixelRows(const FittedNetworks& networks, const FittedGrids& grids, const Planes* coarser, const FittedLoops& loops)
        : networks_(networks), loops_(loops), height_(grids.shapes.back().height), width_(grids.shapes.back().width),
          channels_(networks.channels()), planes_(networks, grids, 0, coarser, loops), x_(planes_.count(), width_, 1),
          u_{{channels_, width_}, {channels_, width_}}, z_(channels_, width_), last_(channels_, width_) {}

    void make(size_t y, uint8_t* out) {
        const size_t windows = networks_.point().windows;
        if (!begun_) {
            begun_ = true;
            next_[0] = y < windows ? 0 : y - windows;
            next_[1] = y < 1 ? 0 : y - 1;
        }
        for (; next_[0] < std::min(y + windows + 1, height_); ++next_[0]) mix(next_[0]);
        if (windows == 2) {
            for (; next_[1] < std::min(y + 2, height_); ++next_[1]) window(0, next_[1], 0, u_[1]);
        }
        window(windows - 1, y, -kClip17, last_);
        put_bytes(y, out);
    }

private:
    // Layers 1, 2 and the one beside them.
    void mix(size_t y) {
        int32_t *x[kFittedLevels], *u[3], *z[3];
        for (size_t plane = 0; plane < planes_.count(); ++plane) x[plane] = x_.row(plane, 0);
        for (size_t c = 0; c < channels_; ++c) {
            u[c] = u_[0].row(c, y);
            z[c] = z_.row(c, y);
        }
        planes_.make(y, x);
        loops_.mix(layer_of(networks_.first), layer_of(networks_.second), layer_of(networks_.beside), x, width_, u, z);
        repeat_edges(u);
    }

    void window(size_t number, size_t y, int32_t low, Ring& to) {
        const int32_t* rows[9];
        int32_t* out[3];
        for (size_t c = 0; c < channels_; ++c) {
            rows[3 * c] = u_[number].row(c, y == 0 ? 0 : y - 1);
            rows[3 * c + 1] = u_[number].row(c, y);
            rows[3 * c + 2] = u_[number].row(c, std::min(y + 1, height_ - 1));
            out[c] = to.row(c, y);
        }
        loops_.window(layer_of(networks_.windows[number]), rows, low, width_, out);
        repeat_edges(out);
    }

    void repeat_edges(int32_t* const* rows) const {
        for (size_t c = 0; c < channels_; ++c) {
            rows[c][-1] = rows[c][0];
            rows[c][width_] = rows[c][width_ - 1];
        }
    }

    void put_bytes(size_t y, uint8_t* out) {
        for (size_t c = 0; c < channels_; ++c) {
            const int32_t *u = last_.row(c, y), *z = z_.row(c, y);
            for (size_t x = 0; x < width_; ++x) {
                const int32_t sum = std::clamp(u[x] + z[x], -kClip17, kClip17);
                out[x * channels_ + c] = static_cast<uint8_t>(std::clamp((sum + 8) >> 4, 0, 255));
            }
        }
    }

    const FittedNetworks& networks_;
    const FittedLoops& loops_;
    const size_t height_, width_, channels_;
    LevelRows planes_;
    Ring x_, u_[2], z_, last_;
    size_t next_[2] = {0, 0};  // rows of u_
    bool begun_ = false;
};

}  // namespace

void paint_grids(const FittedNetworks& networks, const FittedGrids& grids, uint8_t* pixels, size_t threads,
                 const FittedLoops& loops) {
    std::unique_ptr<Planes> coarser;
    for (size_t level = networks.levels() - 1; level > 0; --level) {
        const GridShape& shape = grids.shapes[grids.find(level, false)];
        auto made = std::make_unique<Planes>(networks.levels() - level, shape.height, shape.width);
        in_parts(shape.height, threads, kSmallestPart, [&](size_t first, size_t last) {
            LevelRows rows(networks, grids, level, coarser.get(), loops);
            int32_t* out[kFittedLevels];
            for (size_t y = first; y < last; ++y) {
                for (size_t plane = 0; plane < made->count; ++plane) out[plane] = made->row(plane, y);
                rows.make(y, out);
            }
        });
        coarser = std::move(made);
    }
    const GridShape& shape = grids.shapes.back();
    const size_t pitch = shape.width * networks.channels();
    in_parts(shape.height, threads, kSmallestPart, [&](size_t first, size_t last) {
        PixelRows rows(networks, grids, coarser.get(), loops);
        for (size_t y = first; y < last; ++y) rows.make(y, pixels + y * pitch);
    });
}

}  // namespace tessera
