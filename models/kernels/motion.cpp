#include "motion.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "motion_loops.hpp"
#include "threads.hpp"

namespace tessera {
namespace {

constexpr size_t kMostCells = 8;     // cells of the dual grid that are predicted at once
constexpr size_t kPatchRows = kLargeBlock + kBefore + kAfter;
constexpr size_t kSmallestCellRows = 4;  // fewer rows are not worth a thread
static_assert((kMostCells + 1) * kLargeBlock + kBefore + kAfter + kStride <= kPatch, "a patch holds all that is read");

// What a block predicts from; vectors that it does not use are zero, so that equal means the same prediction.
struct Choice {
    int16_t dy[2], dx[2];
    uint8_t mode;
    bool operator==(const Choice& other) const {
        return dy[0] == other.dy[0] && dx[0] == other.dx[0] && dy[1] == other.dy[1] && dx[1] == other.dx[1] &&
               mode == other.mode;
    }
};

std::vector<Choice> choices_of(const Motion& motion) {
    const size_t blocks = motion.rows() * motion.columns();
    std::vector<Choice> choices(blocks);
    for (size_t i = 0; i < blocks; ++i) {
        Choice& choice = choices[i];
        choice.mode = motion.modes == nullptr ? uint8_t{0} : motion.modes[i];
        for (size_t r = 0; r < 2; ++r) {
            const bool used = choice.mode == kBoth || choice.mode == r;
            choice.dy[r] = used ? motion.fields[2 * (r * blocks + i)] : int16_t{0};
            choice.dx[r] = used ? motion.fields[2 * (r * blocks + i) + 1] : int16_t{0};
        }
    }
    return choices;
}

struct Area {
    size_t y, x, rows, columns;
};

// How the samples of a run of cells come about.
enum class Kind { one, column, mixed };  // one choice; the same ones above and below; any

struct Scratch {
    int16_t edge[kPatchRows * kPatch] = {};     // samples with those repeated beyond the edge
    int16_t across[kPatchRows * kPatch] = {};   // samples filtered along rows
    int16_t patches[3][kLargeBlock * kPatch] = {};
    int32_t sums[kLargeBlock * kPatch] = {};
    int16_t row_weights[kPatch] = {};
    int16_t column_weights[kLargeBlock] = {};
};

class Compensation {
public:
    Compensation(const Motion& motion, int16_t* out, const Kernels& kernels)
        : motion_(motion), out_(out), loops_(kernels.motion), block_(motion.block), rows_(motion.rows()),
          columns_(motion.columns()), choices_(choices_of(motion)) {}

    size_t cell_rows() const { return rows_ + 1; }

    // Cell (r, c) of the dual grid lies between the centres of blocks (r - 1, c - 1) and (r, c).
    void predict_row(size_t r, Scratch& scratch) const {
        const size_t top = start(r), bottom = std::min(start(r + 1), motion_.height);
        if (top >= bottom) return;
        for (size_t c = 0; c < columns_ + 1;) {
            const Kind kind = kind_of(r, c);
            size_t end = c + 1;
            while (end < columns_ + 1 && end - c < kMostCells && kind_of(r, end) == kind) ++end;
            const size_t left = start(c), right = std::min(start(end), motion_.width);
            if (left < right) predict_cells(kind, r, c, {top, left, bottom - top, right - left}, scratch);
            c = end;
        }
    }

private:
    size_t start(size_t cell) const { return cell == 0 ? 0 : cell * block_ - block_ / 2; }
    const Choice& above(size_t r, size_t c) const { return choices_[(r > 0 ? r - 1 : 0) * columns_ + c]; }
    const Choice& below(size_t r, size_t c) const { return choices_[std::min(r, rows_ - 1) * columns_ + c]; }

    Kind kind_of(size_t r, size_t c) const {
        const size_t left = c > 0 ? c - 1 : 0, right = std::min(c, columns_ - 1);
        if (!(above(r, left) == below(r, left)) || !(above(r, right) == below(r, right))) return Kind::mixed;
        return above(r, left) == above(r, right) ? Kind::one : Kind::column;
    }

    void predict_cells(Kind kind, size_t r, size_t c, const Area& area, Scratch& scratch) const {
        for (size_t axis = 0; axis < 3; ++axis) {
            int16_t* to = out_ + (axis * motion_.height + area.y) * motion_.width + area.x;
            if (kind == Kind::one) {
                const Samples samples = predicted(above(r, c > 0 ? c - 1 : 0), axis, area, scratch);
                loops_.settle(samples, area.rows, area.columns, to, motion_.width);
                continue;
            }
            std::fill_n(scratch.sums, area.rows * kPatch, 0);
            if (kind == Kind::column) {
                std::fill_n(scratch.column_weights, area.rows, static_cast<int16_t>(2 * block_));
                add_blocks(std::min(r, rows_ - 1), axis, area, scratch);
            } else {
                // r is neither the first row nor the last: there the blocks above and below are the same
                const size_t skipped = area.y - (r * block_ - block_ / 2);
                for (const bool lower : {false, true}) {
                    for (size_t y = 0; y < area.rows; ++y) {
                        const size_t ramp = 2 * (y + skipped) + 1;
                        scratch.column_weights[y] = static_cast<int16_t>(lower ? ramp : 2 * block_ - ramp);
                    }
                    add_blocks(lower ? r : r - 1, axis, area, scratch);
                }
            }
            loops_.finish(scratch.sums, block_ == 8 ? 8 : 10, area.rows, area.columns, to, motion_.width);
        }
    }

    // Adds what the blocks of row b predict for `area`, runs of equal ones at once.
    void add_blocks(size_t b, size_t axis, const Area& area, Scratch& scratch) const {
        const Choice* row = &choices_[b * columns_];
        const size_t first = (area.x + block_ / 2) / block_, last = (area.x + area.columns - 1 + block_ / 2) / block_;
        const size_t end = std::min(last + 1, columns_);
        for (size_t i = first > 0 ? first - 1 : 0; i < end;) {
            size_t next = i + 1;
            while (next < end && row[next] == row[i]) ++next;
            const size_t left = std::max(area.x, start(i)), right = std::min(area.x + area.columns, start(next + 1));
            const Area part{area.y, left, area.rows, right - left};
            weigh(i, next, part, scratch.row_weights);
            const Samples samples = predicted(row[i], axis, part, scratch);
            loops_.accumulate(samples, scratch.column_weights, scratch.row_weights, part.rows, part.columns,
                              scratch.sums + (left - area.x));
            i = next;
        }
    }

    // Weights along `part` of the blocks first .. next - 1 together: a ramp at either end, full between and at the
    // sides of the frame. Behind the part they are zero.
    void weigh(size_t first, size_t next, const Area& part, int16_t* weights) const {
        const size_t rise = start(first) + block_, fall = next * block_ - block_ / 2;
        for (size_t i = 0; i < part.columns; ++i) {
            const size_t x = part.x + i;
            size_t weight = 2 * block_;
            if (first > 0 && x < rise) weight = 2 * (x - start(first)) + 1;
            if (next < columns_ && x >= fall) weight = 2 * block_ - (2 * (x - fall) + 1);
            weights[i] = static_cast<int16_t>(weight);
        }
        std::fill_n(weights + part.columns, kStride, int16_t{0});
    }

    Samples predicted(const Choice& choice, size_t axis, const Area& area, Scratch& scratch) const {
        if (choice.mode != kBoth)
            return displaced(choice, choice.mode, axis, area, scratch.patches[choice.mode], scratch);
        Samples both[2];
        for (size_t r = 0; r < 2; ++r) {
            both[r] = displaced(choice, r, axis, area, scratch.patches[r], scratch);
            if (both[r].at == scratch.edge) {  // the other reference will need that buffer
                for (size_t y = 0; y < area.rows; ++y)
                    std::copy_n(both[r].at + y * kPatch, area.columns, scratch.patches[r] + y * kPatch);
                both[r] = {scratch.patches[r], kPatch};
            }
        }
        loops_.average(both[0], both[1], area.rows, area.columns, scratch.patches[2]);
        return {scratch.patches[2], kPatch};
    }

    // Samples of reference r at `area` displaced by its vector: in the plane itself, in scratch.edge or in `patch`.
    Samples displaced(const Choice& choice, size_t r, size_t axis, const Area& area, int16_t* patch,
                      Scratch& scratch) const {
        const int dy = choice.dy[r], dx = choice.dx[r];
        const int16_t *down = kFilters[dy & 3], *across = kFilters[dx & 3];
        const size_t above = dy & 3 ? kBefore : 0, before = dx & 3 ? kBefore : 0;
        const size_t rows = area.rows + (dy & 3 ? kBefore + kAfter : 0);
        const ptrdiff_t top = static_cast<ptrdiff_t>(area.y) + (dy >> 2) - static_cast<ptrdiff_t>(above);
        const ptrdiff_t left = static_cast<ptrdiff_t>(area.x) + (dx >> 2) - static_cast<ptrdiff_t>(before);
        const int16_t* plane = motion_.planes[r] + axis * motion_.height * motion_.width;
        Samples samples = window(plane, top, left, rows, area.columns + (dx & 3 ? kBefore + kAfter : 0), scratch.edge);
        if (dx & 3) {
            samples.at += before;
            int16_t* to = dy & 3 ? scratch.across : patch;
            loops_.filter(samples, 1, across, rows, area.columns, to, kPatch);
            samples = {to, kPatch};
        }
        if (dy & 3) {
            samples.at += static_cast<ptrdiff_t>(above) * samples.pitch;
            loops_.filter(samples, samples.pitch, down, area.rows, area.columns, patch, kPatch);
            samples = {patch, kPatch};
        }
        return samples;
    }

    // Rows and columns from (top, left) on, samples outside the plane repeated from its edge.
    Samples window(const int16_t* plane, ptrdiff_t top, ptrdiff_t left, size_t rows, size_t columns,
                   int16_t* edge) const {
        const auto height = static_cast<ptrdiff_t>(motion_.height), width = static_cast<ptrdiff_t>(motion_.width);
        const auto lines = static_cast<ptrdiff_t>(rows), count = static_cast<ptrdiff_t>(columns);
        const bool inside = top >= 0 && left >= 0 && top + lines <= height && left + count <= width;
        // loops read on behind the last sample, by less than two strides
        const auto behind = static_cast<ptrdiff_t>(2 * kStride);
        if (inside && (top + lines - 1) * width + left + count + behind <= height * width)
            return {plane + top * width + left, width};
        const ptrdiff_t before = std::clamp<ptrdiff_t>(-left, 0, count);
        const ptrdiff_t kept = std::clamp<ptrdiff_t>(width - left, before, count);
        for (ptrdiff_t y = 0; y < lines; ++y) {
            const int16_t* row = plane + std::clamp<ptrdiff_t>(top + y, 0, height - 1) * width;
            int16_t* to = edge + static_cast<size_t>(y) * kPatch;
            std::fill_n(to, before, row[0]);
            if (kept > before) std::copy_n(row + left + before, kept - before, to + before);
            std::fill_n(to + kept, count - kept, row[width - 1]);
        }
        return {edge, kPatch};
    }

    const Motion& motion_;
    int16_t* out_;
    const MotionLoops& loops_;
    size_t block_, rows_, columns_;
    std::vector<Choice> choices_;
};

}  // namespace

void compensate(const Motion& motion, int16_t* out, size_t threads, const Kernels& kernels) {
    const Compensation compensation(motion, out, kernels);
    in_parts(compensation.cell_rows(), threads, kSmallestCellRows, [&](size_t first, size_t last) {
        const auto scratch = std::make_unique<Scratch>();
        for (size_t r = first; r < last; ++r) compensation.predict_row(r, *scratch);
    });
}

}  // namespace tessera
