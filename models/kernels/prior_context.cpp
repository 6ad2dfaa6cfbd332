// The context of a level: what its hidden channels hold before a slice is coded, and what finished slices add to it.
#include <cstring>

#include "prior_tiles.hpp"

namespace tessera {

uint32_t* Walk::hidden(int parity, size_t tile) const {
    return hidden_->get() + (parity == 0 ? tile : tiles(0) + tile) * (level_->hidden / 4) * kTile;
}

int32_t* Walk::totals(int parity, size_t tile) const {
    return totals_->get() + (parity == 0 ? tile : tiles(0) + tile) * level_->hidden * kTile;
}

namespace {

size_t cells_of(size_t height, size_t width, size_t parity) { return (height * width + 1 - parity) / 2; }

std::vector<std::vector<Run>> runs_of(size_t height, size_t width, size_t parity) {
    std::vector<std::vector<Run>> tiles;
    size_t at = 0;
    for (size_t y = 0; y < height; ++y) {
        const size_t odd = (y + parity) & 1, row = (width + 1 - odd) / 2;
        for (size_t j = 0; j < row;) {
            if (at % kTile == 0) tiles.emplace_back();
            const size_t count = std::min(row - j, kTile - at % kTile);
            tiles.back().push_back({static_cast<uint32_t>(y), static_cast<uint32_t>(j), static_cast<uint32_t>(count),
                                    static_cast<uint32_t>(at % kTile), static_cast<uint32_t>(2 * j + odd)});
            j += count;
            at += count;
        }
    }
    return tiles;
}

size_t most_channels(const Level& level) {
    size_t most = 1;
    for (const Slice& slice : level.slices) most = std::max(most, slice.count);
    return most;
}

}  // namespace

Walk::Walk(std::shared_ptr<const Level> level, size_t height, size_t width, const int32_t* bias, const int32_t* coarser,
           const int32_t* hints, size_t threads, Kept keep, const Kernels& kernels)
    : level_(std::move(level)),
      kernels_(kernels),
      height_(height),
      width_(width),
      threads_(threads),
      cells_{cells_of(height, width, 0), cells_of(height, width, 1)},
      runs_{runs_of(height, width, 0), runs_of(height, width, 1)},
      features_(most_channels(*level_), height, width),
      totals_(std::make_unique<Buffer<int32_t>>((tiles(0) + tiles(1)) * kTile * level_->hidden)),
      hidden_(std::make_unique<Buffer<uint32_t>>((tiles(0) + tiles(1)) * kTile * (level_->hidden / 4))) {
    check_biases(bias, level_->hidden);
    level_->walked = true;
    const size_t count = level_->channels * height * width;
    if (keep.values) {
        values_ = std::make_unique<Buffer<int32_t>>(count);
        std::fill_n(values(), count, 0);
    }
    if (keep.rungs) {
        rungs_ = std::make_unique<Buffer<uint8_t>>(count);
        std::fill_n(rungs(), count, uint8_t{0});
    }
    begin(bias, coarser, hints);
}

// Features of the coarser level, each of whose cells stands for two by two.
std::unique_ptr<Maps> Walk::enlarged(const int32_t* coarser) const {
    const size_t width = (width_ + 1) / 2, cells = ((height_ + 1) / 2) * width;
    auto maps = std::make_unique<Maps>(level_->coarse_channels, height_, width_);
    std::vector<int32_t> line((width + kTile - 1) / kTile * kTile, 0);
    std::vector<uint8_t> row(line.size());
    for (size_t c = 0; c < level_->coarse_channels; ++c) {
        for (size_t y = 0; y < height_; ++y) {
            if (y % 2 == 0) {
                std::copy_n(coarser + c * cells + y / 2 * width, width, line.begin());
                for (size_t at = 0; at < row.size(); at += kTile) {
                    kernels_.features(&line[at], feature_table(), &row[at]);
                }
            }
            // x / 2 is the place in the map of either parity: every place of a row has a coarse cell of its own
            for (size_t parity = 0; parity < 2; ++parity) {
                const size_t count = (width_ + 1 - ((y + parity) & 1)) / 2;
                std::memcpy(maps->row(c, static_cast<int>(parity), y), row.data(), count);
            }
            if (holds_any(row.data(), width)) maps->mark(c, y);
        }
    }
    return maps;
}

// Features of the hints.
std::unique_ptr<Maps> Walk::described(const int32_t* hints) const {
    auto maps = std::make_unique<Maps>(level_->hint_channels, height_, width_);
    std::vector<int32_t> line((width_ + kTile - 1) / kTile * kTile, 0);
    std::vector<uint8_t> row(line.size());
    for (size_t c = 0; c < level_->hint_channels; ++c) {
        for (size_t y = 0; y < height_; ++y) {
            std::copy_n(hints + (c * height_ + y) * width_, width_, line.begin());
            for (size_t at = 0; at < row.size(); at += kTile) kernels_.features(&line[at], feature_table(), &row[at]);
            for (size_t parity = 0; parity < 2; ++parity) {
                uint8_t* to = maps->row(c, static_cast<int>(parity), y);
                for (size_t x = (y + parity) & 1; x < width_; x += 2) *to++ = row[x];
            }
            if (holds_any(row.data(), width_)) maps->mark(c, y);
        }
    }
    return maps;
}

// Totals from the bias, the coarser level and the hints.
void Walk::begin(const int32_t* bias, const int32_t* coarser, const int32_t* hints) {
    const std::unique_ptr<Maps> above = coarser == nullptr ? nullptr : enlarged(coarser);
    const std::unique_ptr<Maps> beside =
        hints == nullptr || level_->hint_channels == 0 ? nullptr : described(hints);
    for (int parity = 0; parity < 2; ++parity) {
        over_tiles(parity, [&](size_t tile, Scratch& scratch) {
            int32_t* sums = totals(parity, tile);
            for (size_t o = 0; o < level_->hidden; ++o) std::fill_n(sums + o * kTile, kTile, bias[o]);
            if (above && gather(*above, level_->coarse_channels, 3, parity, tile, scratch))
                kernels_.add_product(level_->coarse, scratch.groups.get(), scratch.used.data(), sums);
            if (beside && gather(*beside, level_->hint_channels, 1, parity, tile, scratch))
                kernels_.add_product(level_->hints, scratch.groups.get(), scratch.used.data(), sums);
            activate(parity, tile);
        });
    }
}

void Walk::activate(int parity, size_t tile) {
    const int32_t* sums = totals(parity, tile);
    uint32_t* words = hidden(parity, tile);
    for (size_t o = 0; o < level_->hidden; o += 4) {
        kernels_.activate(sums + o * kTile, kHiddenShift, words + o / 4 * kTile);
    }
}

// The inputs of a convolution over `reach` x `reach` neighbours, as words; false where all of them are zero.
bool Walk::gather(const Maps& maps, size_t channels, size_t reach, int parity, size_t tile, Scratch& scratch) const {
    const size_t taps = reach * reach, inputs = channels * taps;
    const int radius = static_cast<int>(reach / 2);
    const std::vector<Run>& runs = runs_[parity][tile];
    const size_t first = runs.front().y, last = runs.back().y;
    size_t channel = channels;
    bool holds = false, any = false;  // of `channel`
    for (size_t group = 0; group < groups_of(inputs); ++group) {
        uint8_t used = 0;
        for (size_t k = 0; k < 4; ++k) {
            const size_t input = 4 * group + k;
            if (input < inputs && input / taps != channel) {
                channel = input / taps;
                holds = maps.holds(channel, first, last, reach / 2);
            }
            uint8_t* to = scratch.bytes + k * kTile;
            if (input >= inputs || !holds) {
                std::memset(to, 0, kTile);
                continue;
            }
            used = 1;
            const size_t tap = input % taps;
            const int dy = static_cast<int>(tap / reach) - radius, dx = static_cast<int>(tap % reach) - radius;
            for (const Run& run : runs) {
                std::memcpy(to + run.at, maps.row(channel, parity, run.y, dy, dx) + run.j, run.count);
            }
        }
        scratch.used[group] = used;
        if (used == 0) continue;
        any = true;
        kernels_.interleave(scratch.bytes, scratch.groups.get() + group * kTile);
    }
    return any;
}

void Walk::finish(size_t slice) {
    const Slice& part = level_->slices.at(slice);
    if (&part != slice_) throw std::logic_error("finish of a slice that is not the current one");
    if (part.reach == 0) return;
    for (int parity = 0; parity < 2; ++parity) {
        over_tiles(parity, [&](size_t tile, Scratch& scratch) {
            if (!gather(features_, part.count, part.reach, parity, tile, scratch)) return;
            kernels_.add_product(part.context, scratch.groups.get(), scratch.used.data(), totals(parity, tile));
            activate(parity, tile);
        });
    }
}

}  // namespace tessera
