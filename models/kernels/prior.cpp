#include "prior.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "threads.hpp"

namespace tessera {
namespace {

constexpr size_t kSmallest = 8;  // tiles that are worth a thread

struct FeatureTable {
    int32_t at[256];
    FeatureTable() {
        for (int i = 0; i < 256; ++i) {
            const int32_t* past = std::upper_bound(kFeatureFrom, kFeatureFrom + kLargestFeature, i + 1);
            at[i] = static_cast<int32_t>(past - kFeatureFrom);
        }
    }
};

const int32_t* feature_table() {
    static const FeatureTable table;
    return table.at;
}

int shift_of(int rung) { return rung < kTables ? 0 : (rung - kTables + kPerOctave) / kPerOctave; }

void check_biases(const int32_t* biases, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        if (biases[i] < -kLargestSum || biases[i] > kLargestSum) throw std::invalid_argument("a bias is out of range");
    }
}

}  // namespace

// What one thread works in.
struct Walk::Scratch {
    explicit Scratch(const Level& level) {
        size_t inputs = std::max(level.coarse.inputs, level.hints.inputs), rows = 4;
        for (const Slice& slice : level.slices) {
            rows = std::max(rows, 4 * groups_of(slice.count));
            inputs = std::max({inputs, slice.context.inputs, groups_of(slice.count)});
        }
        sums.resize(rows * kTile);
        groups.resize(inputs * kTile);
    }
    std::vector<int32_t> sums;
    std::vector<uint32_t> groups;
    // zero, since places beyond the map are computed with the others
    alignas(64) int32_t near[4 * kTile] = {};
    alignas(64) uint8_t bytes[4 * kTile] = {};
    alignas(64) uint8_t rungs[kTile] = {};
    alignas(64) uint8_t indices[kTile] = {};
    alignas(64) int32_t values[kTile] = {};
    alignas(64) float scaled[kTile] = {};
};

template <typename Work>
void Walk::over_tiles(int parity, const Work& work) const {
    in_parts(tiles(parity), threads_, kSmallest, [&](size_t first, size_t last) {
        Scratch scratch(*level_);
        for (size_t tile = first; tile < last; ++tile) work(tile, scratch);
    });
}

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
            if (above) {
                gather(*above, level_->coarse_channels, 3, parity, tile, scratch);
                kernels_.add_product(level_->coarse, scratch.groups.data(), sums);
            }
            if (beside) {
                gather(*beside, level_->hint_channels, 1, parity, tile, scratch);
                kernels_.add_product(level_->hints, scratch.groups.data(), sums);
            }
            activate(parity, tile);
        });
    }
}

void Walk::activate(int parity, size_t tile) {
    const int32_t* sums = totals(parity, tile);
    uint32_t* words = hidden(parity, tile);
    for (size_t o = 0; o < level_->hidden; o += 4) kernels_.activate(sums + o * kTile, words + o / 4 * kTile);
}

// The inputs of a convolution over `reach` x `reach` neighbours, as words.
void Walk::gather(const Maps& maps, size_t channels, size_t reach, int parity, size_t tile, Scratch& scratch) const {
    const size_t taps = reach * reach, inputs = channels * taps;
    const int radius = static_cast<int>(reach / 2);
    for (size_t group = 0; group < groups_of(inputs); ++group) {
        for (size_t k = 0; k < 4; ++k) {
            const size_t input = 4 * group + k;
            uint8_t* to = scratch.bytes + k * kTile;
            if (input >= inputs) {
                std::memset(to, 0, kTile);
                continue;
            }
            const size_t tap = input % taps;
            const int dy = static_cast<int>(tap / reach) - radius, dx = static_cast<int>(tap % reach) - radius;
            for (const Run& run : runs_[parity][tile]) {
                std::memcpy(to + run.at, maps.row(input / taps, parity, run.y, dy, dx) + run.j, run.count);
            }
        }
        kernels_.interleave(scratch.bytes, scratch.groups.data() + group * kTile);
    }
}

// Activations of the first pass's neighbours, for cells of the second.
void Walk::near_groups(const Slice& slice, size_t tile, Scratch& scratch) const {
    const uint8_t* rows[kNearTaps];
    for (size_t group = 0; group < groups_of(slice.count); ++group) {
        std::memset(scratch.near, 0, sizeof scratch.near);
        for (size_t k = 0; k < 4 && 4 * group + k < slice.count; ++k) {
            const size_t c = 4 * group + k;
            for (const Run& run : runs_[1][tile]) {
                for (int tap = 0; tap < kNearTaps; ++tap) {
                    const int place = 2 * tap + 1;
                    rows[tap] = features_.row(c, 1, run.y, place / 5 - kNearReach, place % 5 - kNearReach) + run.j;
                }
                kernels_.add_near(rows, &slice.near[c * kNearTaps], run.count, scratch.near + k * kTile + run.at);
            }
        }
        kernels_.activate(scratch.near, scratch.groups.data() + group * kTile);
    }
}

void Walk::answers(const Slice& slice, int parity, const int32_t* bias, size_t tile, Scratch& scratch) const {
    int32_t* sums = scratch.sums.data();
    for (size_t o = 0; o < 4 * groups_of(slice.count); ++o) {
        std::fill_n(sums + o * kTile, kTile, (o < slice.count ? bias[o] : 0) + (1 << (kAnswerShift - 1)));
    }
    if (parity == 0) {
        kernels_.add_product(slice.first, hidden(0, tile), sums);
        return;
    }
    near_groups(slice, tile, scratch);
    kernels_.add_product(slice.second_hidden, hidden(1, tile), sums);
    kernels_.add_product(slice.second_near, scratch.groups.data(), sums);
}

bool Walk::answer(size_t slice, int parity, const int32_t* bias, uint8_t* indices) {
    return answer_and_round(slice, parity, bias, nullptr, nullptr, indices, nullptr);
}

bool Walk::answer_and_round(size_t slice, int parity, const int32_t* bias, const float* scaled, const float* margins,
                            uint8_t* indices, int32_t* symbols) {
    check_biases(bias, level_->slices.at(slice).count);
    slice_ = &level_->slices[slice];
    parity_ = parity;
    const Slice& part = *slice_;
    const size_t n = cells_[parity], cells = cells_[0] + cells_[1];
    pass_rungs_.resize(part.count * n);
    if (parity == 0) features_.clear();
    std::atomic<bool> wide{false};
    over_tiles(parity, [&](size_t tile, Scratch& scratch) {
        answers(part, parity, bias, tile, scratch);
        const size_t count = std::min(kTile, n - tile * kTile);
        int largest = 0;
        for (size_t c = 0; c < part.count; ++c) {
            const size_t at = c * n + tile * kTile;
            // whole tiles go straight to their places
            const bool whole = count == kTile;
            uint8_t* rungs = whole ? pass_rungs_.data() + at : scratch.rungs;
            uint8_t* tables = whole ? indices + at : scratch.indices;
            const int highest = kernels_.rungs(scratch.sums.data() + c * kTile, rungs);
            // places beyond the map hold anything
            largest = std::max<int>(largest, whole ? highest : *std::max_element(rungs, rungs + count));
            kernels_.indices(rungs, tables);
            if (!whole) std::memcpy(pass_rungs_.data() + at, rungs, count);
            if (!whole) std::memcpy(indices + at, tables, count);
            if (scaled == nullptr) continue;
            const float* y = scaled + (part.start + c) * cells + (parity == 0 ? 0 : cells_[0]) + tile * kTile;
            int32_t* rounded = whole ? symbols + at : scratch.values;
            if (!whole) {
                std::fill(std::copy_n(y, count, scratch.scaled), scratch.scaled + kTile, 0.0f);
                y = scratch.scaled;
            }
            kernels_.round(y, rungs, margins, rounded);
            if (!whole) std::memcpy(symbols + at, rounded, count * sizeof(int32_t));
            store(part, parity, c, tile, rounded);
        }
        if (largest >= kTables) wide = true;
    });
    return wide;
}

// Features, and planes where they are kept, of one channel's values (kTile of them, the last ones beyond the map).
// Features and planes are zero beforehand, and most values of fine bands are zero too.
void Walk::store(const Slice& slice, int parity, size_t channel, size_t tile, const int32_t* from) {
    int32_t any = 0;
    for (size_t i = 0; i < kTile; ++i) any |= from[i];
    if (any == 0 && !rungs_) return;
    alignas(64) uint8_t bytes[kTile];
    if (any != 0) kernels_.features(from, feature_table(), bytes);
    const size_t n = cells_[parity];
    for (const Run& run : runs_[parity][tile]) {
        if (any != 0) std::memcpy(features_.row(channel, parity, run.y) + run.j, bytes + run.at, run.count);
        if (!values_) continue;
        const size_t to = ((slice.start + channel) * height_ + run.y) * width_ + run.x;
        const uint8_t* rung = pass_rungs_.data() + channel * n + tile * kTile + run.at;
        kernels_.spread(from + run.at, rung, run.count, values() + to, rungs_ ? rungs() + to : nullptr);
    }
}

size_t Walk::wide() const {
    return static_cast<size_t>(
        std::count_if(pass_rungs_.begin(), pass_rungs_.end(), [](uint8_t r) { return r >= kTables; }));
}

void Walk::split_wide(int32_t* symbols, std::vector<int32_t>& low, std::vector<uint8_t>& low_indices) const {
    for (size_t i = 0; i < pass_rungs_.size(); ++i) {
        const int shift = shift_of(pass_rungs_[i]);
        if (shift == 0) continue;
        low_indices.push_back(static_cast<uint8_t>(kTables - 1 + shift));
        if (symbols == nullptr) continue;
        low.push_back(symbols[i] & ((1 << shift) - 1));
        symbols[i] >>= shift;
    }
}

void Walk::take(int32_t* symbols, const int32_t* low, const int32_t* costs) {
    if (slice_ == nullptr) throw std::logic_error("take before answer");
    if (low != nullptr) {
        for (size_t i = 0; i < pass_rungs_.size(); ++i) {
            const int shift = shift_of(pass_rungs_[i]);
            if (shift == 0) continue;
            const uint32_t whole = static_cast<uint32_t>(symbols[i]) << shift | static_cast<uint32_t>(*low++);
            symbols[i] = static_cast<int32_t>(whole);
        }
    }
    const size_t n = cells_[parity_];
    if (costs != nullptr) spent_[parity_].resize(n);
    over_tiles(parity_, [&](size_t tile, Scratch& scratch) {
        const size_t count = std::min(kTile, n - tile * kTile);
        std::fill(scratch.values + count, scratch.values + kTile, 0);
        for (size_t c = 0; c < slice_->count; ++c) {
            int32_t* from = symbols + c * n + tile * kTile;
            if (count < kTile)
                from = static_cast<int32_t*>(std::memcpy(scratch.values, from, count * sizeof(int32_t)));
            kernels_.clip(from);
            store(*slice_, parity_, c, tile, from);
            if (costs == nullptr) continue;
            const uint8_t* rungs = pass_rungs_.data() + c * n + tile * kTile;
            kernels_.add_costs(from, rungs, count, costs, spent_[parity_].data() + tile * kTile);
        }
    });
}

void Walk::spent(int32_t* cells) const {
    for (size_t parity = 0; parity < 2; ++parity) {
        if (spent_[parity].empty()) continue;
        for (size_t tile = 0; tile < runs_[parity].size(); ++tile) {
            for (const Run& run : runs_[parity][tile]) {
                int32_t* to = cells + run.y * width_ + run.x;
                const int32_t* from = spent_[parity].data() + tile * kTile + run.at;
                for (size_t i = 0; i < run.count; ++i) to[2 * i] += from[i];
            }
        }
    }
}

void Walk::settle() {
    totals_.reset();
    hidden_.reset();
    slice_ = nullptr;
}

int32_t cost_of(const int32_t* costs, int rung, int32_t value) {
    const int32_t* row = costs + static_cast<size_t>(rung) * kCostColumns;
    const int32_t high = value >> shift_of(rung);
    if (high >= -kCostReach && high < kCostReach) return row[high + kCostReach];
    const int32_t* ends = row + 2 * kCostReach;
    int64_t distance = high > 0 ? int64_t{high} - ends[2] : int64_t{ends[1]} - high;  // plus one
    int bits = 0;
    while (distance >>= 1) ++bits;
    return ends[0] + (2 + 2 * bits) * kCostUnit;
}

void Walk::finish(size_t slice) {
    const Slice& part = level_->slices.at(slice);
    if (&part != slice_) throw std::logic_error("finish of a slice that is not at work");
    if (part.reach == 0) return;
    for (int parity = 0; parity < 2; ++parity) {
        over_tiles(parity, [&](size_t tile, Scratch& scratch) {
            gather(features_, part.count, part.reach, parity, tile, scratch);
            kernels_.add_product(part.context, scratch.groups.data(), totals(parity, tile));
            activate(parity, tile);
        });
    }
}

}  // namespace tessera
