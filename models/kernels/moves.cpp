#include "moves.hpp"

#include <algorithm>
#include <cstring>

#include "threads.hpp"

namespace tessera {
namespace {

constexpr size_t kSmallestCells = 1024;  // cells that are worth a thread

// `side` numbers of each of `count` cells, from a row or to it.
template <size_t kSide>
void scatter(const int16_t* line, size_t count, int16_t* cells, size_t pitch) {
    for (size_t x = 0; x < count; ++x) std::memcpy(cells + x * pitch, line + x * kSide, kSide * sizeof(int16_t));
}

template <size_t kSide>
void collect(const int16_t* cells, size_t pitch, size_t count, int16_t* line) {
    for (size_t x = 0; x < count; ++x) std::memcpy(line + x * kSide, cells + x * pitch, kSide * sizeof(int16_t));
}

void scatter(size_t side, const int16_t* line, size_t count, int16_t* cells, size_t pitch) {
    if (side == 4) {
        scatter<4>(line, count, cells, pitch);
    } else if (side == 2) {
        scatter<2>(line, count, cells, pitch);
    } else {
        scatter<1>(line, count, cells, pitch);
    }
}

void collect(size_t side, const int16_t* cells, size_t pitch, size_t count, int16_t* line) {
    if (side == 4) {
        collect<4>(cells, pitch, count, line);
    } else if (side == 2) {
        collect<2>(cells, pitch, count, line);
    } else {
        collect<1>(cells, pitch, count, line);
    }
}

// One row of one band of a level, within a row of cells.
struct BandRow {
    size_t level, side, band;
    size_t cells;    // of the first cell, among all
    size_t channel;  // of its first number within a cell
    size_t place;    // of its first number within the details
    bool inside;     // of the picture
};

// work(row, line) of every row of every band; line holds a row of any level.
template <typename Work>
void over_bands(const std::vector<CutLevel>& levels, size_t rows, size_t columns, size_t threads, const Work& work) {
    in_parts(rows, threads, 1 + kSmallestCells / columns, [&](size_t first, size_t last) {
        std::vector<int16_t> line(columns * kCell / 2);
        for (size_t y = first; y < last; ++y) {
            BandRow row{};
            row.cells = y * columns;
            for (row.level = 0; row.level < levels.size(); ++row.level) {
                const CutLevel& level = levels[row.level];
                row.side = kCell >> (row.level + 1);
                for (row.band = 0; row.band < kDyadicBands; ++row.band) {
                    for (size_t within = 0; within < row.side; ++within, row.channel += row.side) {
                        const size_t at = y * row.side + within;
                        row.inside = at < level.height;
                        row.place = (row.band * level.height + at) * level.width;
                        work(row, line.data());
                    }
                }
            }
        }
    });
}

}  // namespace

void describe_remainders(const std::vector<CutLevel>& levels, const std::vector<const int32_t*>& symbols,
                         const std::vector<const float*>& inverses, float factor, float limit, size_t rows,
                         size_t columns, Cells out, size_t threads, const Kernels& kernels) {
    over_bands(levels, rows, columns, threads, [&](const BandRow& row, int16_t* line) {
        const CutLevel& level = levels[row.level];
        const size_t count = row.inside ? level.width : 0;
        kernels.words.remainders(level.details + row.place, symbols[row.level] + row.place,
                                 inverses[row.level][row.band], factor, limit, count, line);
        std::fill(line + count, line + columns * row.side, int16_t{0});
        scatter(row.side, line, columns, out.data + row.cells * out.pitch + row.channel, out.pitch);
    });
}

void move_details(const std::vector<CutLevel>& levels, const std::vector<const double*>& factors, int16_t limit,
                  size_t rows, size_t columns, const int16_t* moves, const std::vector<int32_t*>& out, size_t threads,
                  const Kernels& kernels) {
    const size_t pitch = moved_channels(levels.size());
    over_bands(levels, rows, columns, threads, [&](const BandRow& row, int16_t* line) {
        if (!row.inside) return;
        const CutLevel& level = levels[row.level];
        collect(row.side, moves + row.cells * pitch + row.channel, pitch, columns, line);
        kernels.words.move(level.details + row.place, line, factors[row.level][row.band], limit, level.width,
                           out[row.level] + row.place);
    });
}

}  // namespace tessera
