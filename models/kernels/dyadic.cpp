#include "dyadic.hpp"

#include <algorithm>
#include <cstring>

#include "dyadic_taps.hpp"
#include "prior_tiles.hpp"

namespace tessera {
namespace {

constexpr size_t kPassPhases[2][2] = {{0, 3}, {1, 2}};

// Tiles of a pass: both of its phases.
std::vector<Tile> tiles_of(size_t height, size_t width, size_t parity, size_t first_number) {
    std::vector<Tile> tiles;
    size_t place = 0;
    for (const size_t phase : kPassPhases[parity]) {
        const size_t rows = (height + 1 - phase / 2) / 2, row = (width + 1 - phase % 2) / 2;
        size_t at = kTile;  // in the current tile
        for (size_t y = 0; y < rows; ++y) {
            for (size_t x = 0; x < row;) {
                if (at == kTile) {
                    tiles.push_back({phase, first_number + tiles.size(), place, 0, {}});
                    at = 0;
                }
                const size_t count = std::min(row - x, kTile - at);
                tiles.back().pieces.push_back({static_cast<uint32_t>(y), static_cast<uint32_t>(x),
                                               static_cast<uint32_t>(count), static_cast<uint32_t>(at)});
                tiles.back().count += count;
                x += count;
                at += count;
                place += count;
            }
        }
    }
    return tiles;
}

size_t cells_of(const std::vector<Tile>& tiles) { return tiles.empty() ? 0 : tiles.back().place + tiles.back().count; }

size_t most_channels(const DyadicLevel& level) {
    size_t most = 1;
    for (const DyadicSlice& slice : level.slices) most = std::max(most, slice.count);
    return most;
}

// Features of the coarser level, with a border of zeros.
class AboveMap {
public:
    AboveMap(const int32_t* details, size_t height, size_t width, const Kernels& kernels)
        : rows_(height + 2), pitch_((width + kTile - 1) / kTile * kTile + 2), bytes_(kDyadicBands * rows_ * pitch_, 0) {
        std::vector<int32_t> line(pitch_ - 2, 0);
        for (size_t c = 0; c < kDyadicBands; ++c) {
            for (size_t y = 0; y < height; ++y) {
                std::copy_n(details + (c * height + y) * width, width, line.begin());
                uint8_t* to = bytes_.data() + (c * rows_ + y + 1) * pitch_ + 1;
                for (size_t x = 0; x < line.size(); x += kTile) kernels.features(&line[x], feature_table(), to + x);
            }
        }
    }
    const uint8_t* row(size_t channel, size_t y, const Tap& tap) const {
        return bytes_.data() + (channel * rows_ + y + static_cast<size_t>(tap.dy + 1)) * pitch_ +
               static_cast<size_t>(tap.dx + 1);
    }

private:
    size_t rows_, pitch_;
    std::vector<uint8_t> bytes_;
};

// One row of a low plane: 9 times each cell less the sum of 3 x 3 cells, the border repeated.
void differences(const int32_t* above, const int32_t* here, const int32_t* below, size_t width, int32_t* sums,
                 int32_t* out) {
    for (size_t x = 0; x < width; ++x) sums[x + 1] = above[x] + here[x] + below[x];
    sums[0] = sums[1];
    sums[width + 1] = sums[width];
    for (size_t x = 0; x < width; ++x) out[x] = 9 * here[x] - (sums[x] + sums[x + 1] + sums[x + 2]);
}

}  // namespace

// What one thread works in. Places beyond a tile's cells are computed with the others, so all is initialised.
struct DyadicWalk::Scratch {
    explicit Scratch(const DyadicLevel& level) {
        size_t inputs = std::max(level.parent[0].inputs, level.low.inputs), rows = 4 * groups_of(level.view);
        for (const DyadicSlice& slice : level.slices) {
            inputs = std::max({inputs, slice.near.inputs, slice.context.inputs});
            rows = std::max(rows, 4 * slice.heads[0].outputs);
        }
        sums.resize(rows * kTile);
        groups.resize(inputs * kTile);
        words.resize(groups_of(level.view) * kTile);
    }

    // The inputs of a convolution: row(channel, tap, piece) points to those of a piece.
    template <typename Row>
    void gather(const Tile& tile, size_t channels, const Taps& taps, const Row& row) {
        const size_t inputs = channels * taps.size();
        for (size_t group = 0; group < groups_of(inputs); ++group) {
            for (size_t k = 0; k < 4; ++k) {
                const size_t input = 4 * group + k;
                uint8_t* to = bytes + k * kTile;
                if (input >= inputs) {
                    std::memset(to, 0, kTile);
                    continue;
                }
                for (const Piece& piece : tile.pieces) {
                    std::memcpy(to + piece.at, row(input / taps.size(), taps[input % taps.size()], piece), piece.count);
                }
            }
            interleave(bytes, groups.data() + group * kTile);
        }
    }

    void gather(const Tile& tile, const PhaseMaps& maps, size_t channels, const Taps& taps) {
        gather(tile, channels, taps, [&](size_t channel, const Tap& tap, const Piece& piece) {
            return maps.row(channel, tile.phase, piece.y, tap.dy, tap.dx) + piece.x;
        });
    }

    void (*interleave)(const uint8_t* rows, uint32_t* out) = nullptr;
    std::vector<int32_t> sums;
    std::vector<uint32_t> groups, words;
    alignas(64) uint8_t bytes[4 * kTile] = {};
    alignas(64) uint8_t rungs[kTile] = {};
    alignas(64) int32_t values[kTile] = {};
    alignas(64) float scaled[kTile] = {};
};

template <typename Work>
void DyadicWalk::over_tiles(size_t parity, const Work& work) const {
    in_parts(tiles_[parity].size(), threads_, kSmallestTiles, [&](size_t first, size_t last) {
        Scratch scratch(level_);
        scratch.interleave = kernels_.interleave;
        for (size_t tile = first; tile < last; ++tile) work(tiles_[parity][tile], scratch);
    });
}

int32_t* DyadicWalk::totals(const Tile& tile) const { return totals_.get() + tile.number * kTile * level_.hidden; }

uint32_t* DyadicWalk::hidden(const Tile& tile) const {
    return hidden_.get() + tile.number * kTile * (level_.hidden / 4);
}

DyadicWalk::DyadicWalk(const DyadicLevelPlan& plan, const int32_t* low, const int32_t* above, size_t threads,
                       const Kernels& kernels)
    : plan_(plan),
      level_(*plan.level),
      kernels_(kernels),
      height_(plan.height),
      width_(plan.width),
      threads_(threads),
      tiles_{tiles_of(height_, width_, 0, 0), {}},
      features_(2 * most_channels(level_), 0, height_, width_),
      totals_((height_ * width_ / kTile + 4) * kTile * level_.hidden),
      hidden_((height_ * width_ / kTile + 4) * kTile * (level_.hidden / 4)),
      details_(kDyadicBands * height_ * width_) {
    tiles_[1] = tiles_of(height_, width_, 1, tiles_[0].size());
    for (size_t parity = 0; parity < 2; ++parity) cells_[parity] = cells_of(tiles_[parity]);
    std::fill_n(details(), kDyadicBands * height_ * width_, 0);
    open(low, above);
}

// Totals from the bias, the coarser details and the low plane.
void DyadicWalk::open(const int32_t* low, const int32_t* above) {
    PhaseMaps described(2 * kAxes, kAxes, height_, width_);
    in_parts(kAxes * height_, threads_, kSmallestTiles, [&](size_t first, size_t last) {
        const size_t padded = (width_ + kTile - 1) / kTile * kTile;
        std::vector<int32_t> sums(width_ + 2), line(padded, 0), quarters(padded, 0);
        std::vector<uint8_t> bytes(2 * padded);
        for (size_t row = first; row < last; ++row) {
            const size_t axis = row / height_, y = row % height_;
            const int32_t* here = low + row * width_;
            differences(y > 0 ? here - width_ : here, here, y + 1 < height_ ? here + width_ : here, width_,
                        sums.data(), line.data());
            kernels_.exact.hints(line.data(), plan_.reciprocal, width_, quarters.data());
            for (size_t x = 0; x < padded; x += kTile) {
                kernels_.features(&quarters[x], feature_table(), &bytes[padded + x]);
                kernels_.signed_features(&line[x], &bytes[padded + x], &bytes[x]);
            }
            for (size_t side = 0; side < 2; ++side) {
                for (size_t odd = 0; odd < 2; ++odd) {
                    const uint8_t* from = &bytes[side * padded];
                    uint8_t* to = described.row(side * kAxes + axis, 2 * (y % 2) + odd, y / 2);
                    for (size_t x = odd; x < width_; x += 2) *to++ = from[x];
                }
            }
        }
    });
    std::unique_ptr<AboveMap> parent;
    if (above != nullptr) {
        parent = std::make_unique<AboveMap>(above, (height_ + 1) / 2, (width_ + 1) / 2, kernels_);
    }
    for (size_t parity = 0; parity < 2; ++parity) {
        over_tiles(parity, [&](const Tile& tile, Scratch& scratch) {
            int32_t* sums = totals(tile);
            for (size_t o = 0; o < level_.hidden; ++o) {
                std::fill_n(sums + o * kTile, kTile, plan_.bias[o] - level_.low_zeros[o]);
            }
            if (parent) {
                scratch.gather(tile, kDyadicBands, context_taps(),
                               [&](size_t channel, const Tap& tap, const Piece& piece) {
                                   return parent->row(channel, piece.y, tap) + piece.x;
                               });
                kernels_.add_product(level_.parent[tile.phase], scratch.groups.data(), nullptr, sums);
            }
            scratch.gather(tile, described, 2 * kAxes, low_taps());
            kernels_.add_product(level_.low, scratch.groups.data(), nullptr, sums);
            activate(tile);
        });
    }
}

void DyadicWalk::activate(const Tile& tile) {
    const int32_t* sums = totals(tile);
    uint32_t* words = hidden(tile);
    for (size_t o = 0; o < level_.hidden; o += 4) {
        kernels_.activate(sums + o * kTile, kHiddenShift, words + o / 4 * kTile);
    }
}

void DyadicWalk::begin(size_t pass) {
    const size_t parity = pass % 2;
    pass_ = pass;
    slice_ = &level_.slices[pass / 2];
    const size_t size = slice_->count * cells_[parity];
    rungs.resize(size);
    signs.resize(size);
    values.resize(size);
    if (parity == 0) features_ = PhaseMaps(2 * slice_->count, slice_->count, height_, width_);
    over_tiles(parity, [&](const Tile& tile, Scratch& scratch) { answer(tile, scratch); });
}

void DyadicWalk::answer(const Tile& tile, Scratch& scratch) {
    const size_t parity = pass_ % 2, count = slice_->count;
    const DyadicPass& biases = plan_.passes[pass_];
    int32_t* sums = scratch.sums.data();
    for (size_t o = 0; o < level_.view; ++o) {
        std::fill_n(sums + o * kTile, kTile, biases.views[o] - (parity == 0 ? 0 : slice_->near_zeros[o]));
    }
    kernels_.add_product(slice_->view[parity], hidden(tile), nullptr, sums);
    if (parity == 1) {
        scratch.gather(tile, features_, 2 * count, near_taps());
        kernels_.add_product(slice_->near, scratch.groups.data(), nullptr, sums);
    }
    for (size_t o = 0; o < level_.view; o += 4) {
        kernels_.activate(sums + o * kTile, kViewShift, scratch.words.data() + o / 4 * kTile);
    }
    constexpr int32_t kHalfRung = 1 << (kAnswerShift - 1), kMiddle = kSignTables / 2 << kAnswerShift;
    for (size_t o = 0; o < 4 * slice_->heads[parity].outputs; ++o) {
        std::fill_n(sums + o * kTile, kTile,
                    o < 2 * count ? biases.answers[o] + (o < count ? kHalfRung : kMiddle) : 0);
    }
    kernels_.add_product(slice_->heads[parity], scratch.words.data(), nullptr, sums);
    for (size_t c = 0; c < count; ++c) {
        const size_t at = c * cells_[parity] + tile.place;
        kernels_.rungs(sums + c * kTile, scratch.rungs);
        std::memcpy(&rungs[at], scratch.rungs, tile.count);
        kernels_.rungs(sums + (count + c) * kTile, scratch.rungs);
        for (size_t i = 0; i < tile.count; ++i) {
            signs[at + i] = std::min(scratch.rungs[i], static_cast<uint8_t>(kSignTables - 1));
        }
    }
}

void DyadicWalk::round(const int32_t* given, const float* margins) {
    const size_t parity = pass_ % 2;
    over_tiles(parity, [&](const Tile& tile, Scratch& scratch) {
        for (size_t c = 0; c < slice_->count; ++c) {
            const size_t band = slice_->start + c, at = c * cells_[parity] + tile.place;
            for (const Piece& piece : tile.pieces) {
                const size_t y = 2 * size_t{piece.y} + tile.phase / 2, x = 2 * size_t{piece.x} + tile.phase % 2;
                const int32_t* from = given + (band * height_ + y) * width_ + x;
                float* to = scratch.scaled + piece.at;
                for (size_t i = 0; i < piece.count; ++i) to[i] = static_cast<float>(from[2 * i]) * plan_.inverse[band];
            }
            std::memcpy(scratch.rungs, &rungs[at], tile.count);
            kernels_.round(scratch.scaled, scratch.rungs, margins, scratch.values);
            std::memcpy(&values[at], scratch.values, tile.count * sizeof(int32_t));
        }
    });
}

void DyadicWalk::spend(const int32_t* costs, const int32_t* sign_costs) {
    const size_t parity = pass_ % 2;
    spent.resize(height_ * width_, 0);
    over_tiles(parity, [&](const Tile& tile, Scratch& scratch) {
        int32_t sums[kTile] = {};
        for (size_t c = 0; c < slice_->count; ++c) {
            const size_t at = c * cells_[parity] + tile.place;
            for (size_t i = 0; i < tile.count; ++i) {
                const int32_t value = values[at + i];
                scratch.values[i] = value < 0 ? -value : value;
                if (value != 0) sums[i] += sign_costs[2 * signs[at + i] + (value < 0)];
            }
            kernels_.add_costs(scratch.values, &rungs[at], tile.count, costs, sums);
        }
        for (const Piece& piece : tile.pieces) {
            int32_t* to = &spent[(2 * piece.y + tile.phase / 2) * width_ + 2 * piece.x + tile.phase % 2];
            for (size_t i = 0; i < piece.count; ++i) to[2 * i] += sums[piece.at + i];
        }
    });
}

void DyadicWalk::store() {
    const size_t parity = pass_ % 2;
    over_tiles(parity, [&](const Tile& tile, Scratch& scratch) {
        for (size_t c = 0; c < slice_->count; ++c) {
            const int32_t* from = &values[c * cells_[parity] + tile.place];
            if (tile.count < kTile) {
                std::memcpy(scratch.values, from, tile.count * sizeof(int32_t));
                from = scratch.values;
            }
            keep(tile, c, from, scratch);
        }
    });
    if (parity == 1 && pass_ + 1 < plan_.passes.size()) finish();
}

// Features and planes of one channel's values (kTile of them), which are zero beforehand.
void DyadicWalk::keep(const Tile& tile, size_t channel, const int32_t* from, Scratch& scratch) {
    int32_t any = 0;
    for (size_t i = 0; i < kTile; ++i) any |= from[i];
    if (any == 0) return;
    uint8_t *magnitudes = scratch.bytes, *with_sign = scratch.bytes + kTile;
    kernels_.features(from, feature_table(), magnitudes);
    kernels_.signed_features(from, magnitudes, with_sign);
    for (const Piece& piece : tile.pieces) {
        std::memcpy(features_.row(channel, tile.phase, piece.y) + piece.x, with_sign + piece.at, piece.count);
        std::memcpy(features_.row(slice_->count + channel, tile.phase, piece.y) + piece.x, magnitudes + piece.at,
                    piece.count);
        const size_t y = 2 * size_t{piece.y} + tile.phase / 2, x = 2 * size_t{piece.x} + tile.phase % 2;
        int32_t* to = details() + ((slice_->start + channel) * height_ + y) * width_ + x;
        kernels_.spread(from + piece.at, nullptr, piece.count, to, nullptr);
    }
}

void DyadicWalk::finish() {
    for (size_t parity = 0; parity < 2; ++parity) {
        over_tiles(parity, [&](const Tile& tile, Scratch& scratch) {
            int32_t* sums = totals(tile);
            for (size_t o = 0; o < level_.hidden; ++o) {
                const int32_t zeros = slice_->context_zeros[o];
                for (size_t i = 0; i < kTile; ++i) sums[o * kTile + i] -= zeros;
            }
            scratch.gather(tile, features_, 2 * slice_->count, context_taps());
            kernels_.add_product(slice_->context, scratch.groups.data(), nullptr, sums);
            activate(tile);
        });
    }
}

}  // namespace tessera
