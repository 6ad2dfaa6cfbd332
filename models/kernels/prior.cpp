// The passes of a slice: tables from the context, symbols into planes and into the context of the second pass.
#include <cstring>

#include "prior_tiles.hpp"

namespace tessera {

// Activations of the first pass's neighbours, for cells of the second.
void Walk::near_groups(const Slice& slice, size_t tile, Scratch& scratch) const {
    const uint8_t* rows[kNearTaps];
    const std::vector<Run>& runs = runs_[1][tile];
    for (size_t group = 0; group < groups_of(slice.count); ++group) {
        uint8_t used = 0;
        for (size_t k = 0; k < 4 && 4 * group + k < slice.count; ++k) {
            const size_t c = 4 * group + k;
            if (!features_.holds(c, runs.front().y, runs.back().y, kNearReach)) continue;
            if (used == 0) std::memset(scratch.near, 0, sizeof scratch.near);
            used = 1;
            for (const Run& run : runs) {
                for (int tap = 0; tap < kNearTaps; ++tap) {
                    const int place = 2 * tap + 1;
                    rows[tap] = features_.row(c, 1, run.y, place / 5 - kNearReach, place % 5 - kNearReach) + run.j;
                }
                kernels_.add_near(rows, &slice.near[c * kNearTaps], run.count, scratch.near + k * kTile + run.at);
            }
        }
        scratch.used[group] = used;  // sums of zero become activations of zero
        if (used != 0) kernels_.activate(scratch.near, kHiddenShift, scratch.groups.get() + group * kTile);
    }
}

void Walk::answers(const Slice& slice, int parity, const int32_t* bias, size_t tile, Scratch& scratch) const {
    int32_t* sums = scratch.sums.get();
    for (size_t o = 0; o < 4 * groups_of(slice.count); ++o) {
        std::fill_n(sums + o * kTile, kTile, (o < slice.count ? bias[o] : 0) + (1 << (kAnswerShift - 1)));
    }
    if (parity == 0) {
        kernels_.add_product(slice.first, hidden(0, tile), nullptr, sums);
        return;
    }
    near_groups(slice, tile, scratch);
    kernels_.add_product(slice.second_hidden, hidden(1, tile), nullptr, sums);
    kernels_.add_product(slice.second_near, scratch.groups.get(), scratch.used.data(), sums);
}

bool Walk::tables(size_t slice, int parity, const int32_t* bias, uint8_t* indices) {
    return round(slice, parity, bias, nullptr, nullptr, indices, nullptr);
}

bool Walk::round(size_t slice, int parity, const int32_t* bias, const float* scaled, const float* margins,
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
            uint8_t* named = whole ? indices + at : scratch.indices;
            const int highest = kernels_.rungs(scratch.sums.get() + c * kTile, rungs);
            // the values of places beyond the map are undefined
            largest = std::max<int>(largest, whole ? highest : *std::max_element(rungs, rungs + count));
            kernels_.indices(rungs, named);
            if (!whole) std::memcpy(pass_rungs_.data() + at, rungs, count);
            if (!whole) std::memcpy(indices + at, named, count);
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
        if (any != 0 && holds_any(bytes + run.at, run.count)) {
            std::memcpy(features_.row(channel, parity, run.y) + run.j, bytes + run.at, run.count);
            features_.mark(channel, run.y);
        }
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

void Walk::update(int32_t* symbols, const int32_t* low, const int32_t* costs) {
    if (slice_ == nullptr) throw std::logic_error("update before tables");
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
    while ((distance >>= 1) > 0) ++bits;
    return ends[0] + (2 + 2 * bits) * kCostUnit;
}

}  // namespace tessera
