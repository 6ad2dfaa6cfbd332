// What the parts of a walk share: tiles of cells on threads, each thread's scratch memory, features.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "prior.hpp"
#include "threads.hpp"

namespace tessera {

constexpr size_t kSmallestTiles = 8;  // tiles that are worth a thread

struct FeatureTable {
    int32_t at[256];
    FeatureTable() {
        for (int i = 0; i < 256; ++i) {
            const int32_t* past = std::upper_bound(kFeatureFrom, kFeatureFrom + kLargestFeature, i + 1);
            at[i] = static_cast<int32_t>(past - kFeatureFrom);
        }
    }
};

inline const int32_t* feature_table() {
    static const FeatureTable table;
    return table.at;
}

inline void check_biases(const int32_t* biases, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        if (biases[i] < -kLargestSum || biases[i] > kLargestSum) throw std::invalid_argument("a bias is out of range");
    }
}

inline bool holds_any(const uint8_t* bytes, size_t count) {
    uint8_t any = 0;
    for (size_t i = 0; i < count; ++i) any |= bytes[i];
    return any != 0;
}

// What one thread works in.
struct Walk::Scratch {
    explicit Scratch(const Level& level) : Scratch(sizes_of(level)) {}
    explicit Scratch(const std::pair<size_t, size_t>& sizes)
        : sums(sizes.first * kTile), groups(sizes.second * kTile), used(sizes.second) {}
    // Rows of sums and groups of inputs, at most.
    static std::pair<size_t, size_t> sizes_of(const Level& level) {
        size_t inputs = std::max(level.coarse.inputs, level.hints.inputs), rows = 4;
        for (const Slice& slice : level.slices) {
            rows = std::max(rows, 4 * groups_of(slice.count));
            inputs = std::max({inputs, slice.context.inputs, groups_of(slice.count)});
        }
        return {rows, inputs};
    }
    Buffer<int32_t> sums;
    Buffer<uint32_t> groups;
    std::vector<uint8_t> used;  // 0 for groups that are zero, which are not written
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
    in_parts(tiles(parity), threads_, kSmallestTiles, [&](size_t first, size_t last) {
        Scratch scratch(*level_);
        for (size_t tile = first; tile < last; ++tile) work(tile, scratch);
    });
}

}  // namespace tessera
