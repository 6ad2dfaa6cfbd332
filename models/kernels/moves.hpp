// What an encoder's network reads of dyadic details and what it answers, cell by cell: of each level, finest first, then
// of each band, row and column within the cell. Twins: `to_cells` and `from_cells` of models/wavelet/dyadic_still.py.
#pragma once

#include <vector>

#include "dyadic.hpp"
#include "words.hpp"

namespace tessera {

constexpr size_t kMovedLevels = 3;  // a cell has kCell >> level places of a level to a side

// Details (kDyadicBands, height, width) of a level, of cells that a picture may cut.
struct CutLevel {
    size_t height, width;
    const int32_t* details;
};

// Channels of (rows, columns) cells.
inline size_t moved_channels(size_t levels) {
    size_t count = 0;
    for (size_t level = 1; level <= levels; ++level) count += kDyadicBands * (kCell >> level) * (kCell >> level);
    return count;
}

// round_up(clip((details * inverse - symbols) * factor, -limit, limit)), halves up; zero beyond the picture. symbols: of
// each level, as details; inverses: kDyadicBands of each level.
void describe_remainders(const std::vector<CutLevel>& levels, const std::vector<const int32_t*>& symbols,
                         const std::vector<const float*>& inverses, float factor, float limit, size_t rows,
                         size_t columns, Cells out, size_t threads, const Kernels& kernels);

// details + clip(move, -limit, limit) * factor, the product, below 2^31, rounded, halves to even. moves: of all channels
// of each cell; factors: kDyadicBands of each level; out: as details.
void move_details(const std::vector<CutLevel>& levels, const std::vector<const double*>& factors, int16_t limit,
                  size_t rows, size_t columns, const int16_t* moves, const std::vector<int32_t*>& out, size_t threads,
                  const Kernels& kernels);

}  // namespace tessera
