// Planes of words (dyadic_loops.hpp) that convolutions look at through windows.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "dyadic_loops.hpp"
#include "memory.hpp"

namespace tessera {

inline size_t whole_steps(size_t cells) { return (cells + kRunStep - 1) / kRunStep * kRunStep; }

// Where the words of one input lie, from those of plane 0 of the same row on.
struct Window {
    ptrdiff_t row;  // whole rows, in words
    int dx;         // -1..1
};

// Rows have a border of zeros, as wide as windows reach and runs are computed beyond their row; what lies within is to
// be written before windows see it. Every kRunStep words have a mark, which is 0 when they are zero.
class WordMap {
public:
    WordMap(size_t planes, size_t rows, size_t columns)
        : rows_(rows + 2),
          columns_(columns),
          pitch_(whole_steps(columns) + 2 * kRunStep),
          words_(planes * rows_ * pitch_),
          marks_(planes * rows_ * pitch_ / kRunStep + sizeof(uint64_t), 0) {
        for (size_t plane = 0; plane < planes; ++plane) {
            uint32_t* border = words_.get() + plane * rows_ * pitch_;
            std::fill_n(border, pitch_ + kRunStep, 0);
            // phases of odd sides lack the last row or column
            for (size_t y = 0; y + 1 < rows; ++y) std::fill(row(plane, y) + columns - 1, row(plane, y + 1), 0);
            std::fill(row(plane, rows - 1), border + rows_ * pitch_, 0);
        }
        for (size_t dx = 0; dx < 3; ++dx) {
            for (size_t steps = 0; steps <= kRun / kRunStep; ++steps) {
                uint8_t bytes[sizeof(uint64_t)] = {};
                std::fill_n(bytes + (dx == 0 ? 0 : 1), steps + (dx != 1), uint8_t{0xff});
                std::memcpy(&masks_[dx][steps], bytes, sizeof bytes);
            }
        }
    }

    uint32_t* row(size_t plane, size_t y) const { return words_.get() + plane * rows_ * pitch_ + start(y); }

    // To be called when a row was written.
    void mark(size_t plane, size_t y, const DyadicLoops& loops) {
        loops.mark(row(plane, y), columns_, &marks_[(plane * rows_ * pitch_ + start(y)) / kRunStep]);
    }

    Window window(size_t plane, ptrdiff_t dy, ptrdiff_t dx) const {
        const auto pitch = static_cast<ptrdiff_t>(pitch_);
        return {static_cast<ptrdiff_t>(plane * rows_) * pitch + dy * pitch, static_cast<int>(dx)};
    }

    // Points words[k] to what `count` windows show of a run, and writes the numbers, from `number` on, of those that are
    // not all zero; returns how many.
    size_t look(const Window* windows, size_t count, size_t y, size_t first, size_t cells, const uint32_t** words,
                uint16_t number, uint16_t* numbers) const {
        const auto from = static_cast<ptrdiff_t>(start(y) + first);
        const uint8_t* marks = marks_.data() - 1;
        size_t found = 0;
        for (size_t k = 0; k < count; ++k, ++number) {
            const Window& window = windows[k];
            const ptrdiff_t at = from + window.row;
            uint64_t marked;
            std::memcpy(&marked, marks + at / static_cast<ptrdiff_t>(kRunStep), sizeof marked);
            words[k] = words_.get() + at + window.dx;
            numbers[found] = number;
            found += (marked & masks_[window.dx + 1][cells / kRunStep]) != 0;
        }
        return found;
    }

private:
    static_assert(kRun / kRunStep + 2 <= sizeof(uint64_t), "the marks of a run and beside it are one number");
    // The first cell of row y of plane 0; whole steps.
    size_t start(size_t y) const { return (y + 1) * pitch_ + kRunStep; }

    size_t rows_, columns_, pitch_;
    Buffer<uint32_t> words_;
    std::vector<uint8_t> marks_;
    uint64_t masks_[3][kRun / kRunStep + 1];  // by dx + 1 and steps: which marks a window sees, from the one before on
};

}  // namespace tessera
