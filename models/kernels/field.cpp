#include "field.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "frame.hpp"

namespace tessera {
namespace {

constexpr size_t kNear = 4, kGuess = 4;  // neighbours; the candidate after them

// -- the order ----------------------------------------------------------------------------------------------------------

// Blocks that are coded together, in their order, with four known blocks around each.
struct HalfStep {
    int level;
    std::vector<size_t> cells;
    std::vector<size_t> near;  // (cells, kNear)
};

class Order {
public:
    explicit Order(const Grid& grid) : rows_(grid.rows), columns_(grid.columns) {}

    // work(half step) from coarse to fine, all blocks but the first.
    template <typename Work>
    void walk(const Work& work) {
        size_t distance = 1;
        while (distance < std::max(rows_, columns_)) distance *= 2;
        for (distance /= 2; distance > 0; distance /= 2) {
            int level = 0;
            for (size_t d = distance; d > 1 && level < 3; d /= 2) ++level;
            begin(2 * level);
            add_diagonal(distance);
            if (!step_.cells.empty()) work(step_);
            begin(2 * level + 1);
            add_axial(0, distance, distance);
            add_axial(distance, 0, distance);
            if (!step_.cells.empty()) work(step_);
        }
    }

private:
    void begin(int level) {
        step_.level = level;
        step_.cells.clear();
        step_.near.clear();
    }

    void add(size_t y, size_t x, const size_t (&near)[kNear]) {
        step_.cells.push_back(y * columns_ + x);
        step_.near.insert(step_.near.end(), near, near + kNear);
    }

    void add_diagonal(size_t d) {
        for (size_t y = d; y < rows_; y += 2 * d) {
            const size_t north = (y - d) * columns_, south = y + d < rows_ ? (y + d) * columns_ : north;
            for (size_t x = d; x < columns_; x += 2 * d) {
                const size_t west = x - d, east = x + d < columns_ ? x + d : west;
                add(y, x, {north + west, north + east, south + west, south + east});
            }
        }
    }

    // A neighbour outside becomes the opposite one; where both are outside, the pair across stands in.
    void add_axial(size_t top, size_t left, size_t d) {
        for (size_t y = top; y < rows_; y += 2 * d) {
            for (size_t x = left; x < columns_; x += 2 * d) {
                const size_t here = y * columns_ + x;
                const bool has_north = y >= d, has_south = y + d < rows_, has_west = x >= d, has_east = x + d < columns_;
                size_t near[kNear] = {here - d * columns_, here + d * columns_, here - d, here + d};
                if (!has_north) near[0] = near[1];
                if (!has_south) near[1] = near[0];
                if (!has_west) near[2] = near[3];
                if (!has_east) near[3] = near[2];
                if (!has_north && !has_south) std::copy_n(near + 2, 2, near);
                if (!has_west && !has_east) std::copy_n(near, 2, near + 2);
                add(y, x, near);
            }
        }
    }

    size_t rows_, columns_;
    HalfStep step_{};
};

// -- candidates ---------------------------------------------------------------------------------------------------------

int32_t within(int32_t value, int32_t limit) { return std::clamp(value, -limit, limit); }

// 0 for 0, 1 for 1, 2 for 2..3, 3 for 4..7, .. at most `largest`.
int32_t class_of(int32_t value, int32_t largest = 7) {
    int32_t bits = 0;
    for (; value > 0 && bits < largest; value >>= 1) ++bits;
    return bits;
}

int32_t apart(const Vector& a, const Vector& b) { return std::abs(a.y - b.y) + std::abs(a.x - b.x); }

struct Candidates {
    Vector around[kNear];
    Vector vectors[kNear + 1];  // the distinct neighbours by rank, then the repeated ones, then the guess
    int32_t context;            // of the choice
};

void rank(const std::vector<Vector>& known, const size_t* near, const Vector* guess, int level, Candidates& found) {
    Vector* around = found.around;
    int32_t total[kNear] = {}, off[kNear] = {}, repeated[kNear] = {}, same[kNear] = {};
    for (size_t i = 0; i < kNear; ++i) around[i] = known[near[i]];
    for (size_t i = 0; i < kNear; ++i) {
        for (size_t j = i + 1; j < kNear; ++j) {
            const int32_t length = apart(around[i], around[j]);
            total[i] += length;
            total[j] += length;
            if (length > 0) continue;
            repeated[j] = 1;
            ++same[i];
            ++same[j];
        }
    }
    if (guess != nullptr) {
        for (size_t i = 0; i < kNear; ++i) total[i] += off[i] = apart(around[i], *guess);
    }
    size_t order[kNear] = {0, 1, 2, 3};
    std::sort(order, order + kNear, [&](size_t a, size_t b) {
        return std::make_pair(repeated[a] << 24 | total[a], a) < std::make_pair(repeated[b] << 24 | total[b], b);
    });
    const size_t first = order[0];
    for (size_t k = 0; k < kNear; ++k) found.vectors[k] = around[order[k]];
    found.vectors[kGuess] = guess == nullptr ? around[first] : *guess;
    const int32_t distinct = 3 - (repeated[1] + repeated[2] + repeated[3]);
    found.context = (((level * 4 + distinct) * 4 + same[first]) * 8 + class_of(total[first])) * 8;
    if (guess == nullptr) return;
    // 1 where the guess is the first candidate, 2 where another, else 3..7 by the distance from the first
    const bool far = *std::min_element(off, off + kNear) > 0;
    found.context += far ? class_of(off[first], 5) + 2 : off[first] == 0 ? 1 : 2;
}

// One component of four neighbours: their middle, and how far they agree.
struct Spread {
    int32_t median, width, middle;
};

Spread spread_of(int32_t a, int32_t b, int32_t c, int32_t d) {
    int32_t sorted[kNear] = {a, b, c, d};
    std::sort(sorted, sorted + kNear);
    const int32_t total = sorted[1] + sorted[2];
    // towards zero: the tables are even in the sign
    return {(total + (total < 0)) >> 1, class_of(sorted[3] - sorted[0]), class_of(sorted[2] - sorted[1], 3)};
}

// -- one field ----------------------------------------------------------------------------------------------------------

class FieldWalk {
public:
    FieldWalk(MotionLine& line, const Grid& grid, const int16_t* wanted, const uint8_t* modes, int number,
              const int16_t* guess)
        : line_(line), grid_(grid), wanted_(wanted), modes_(modes), unused_(static_cast<uint8_t>(1 - number)),
          guess_(guess), known_(grid.blocks(), Vector{0, 0}) {}

    void walk() {
        if (guess_ != nullptr) known_[0] = guess_at(0);
        if (counts(0)) {
            found_.resize(1);
            std::fill_n(found_[0].around, kNear, known_[0]);
            new_.assign(1, {0, 0});
            code_new(kRootLevel);
        }
        Order(grid_).walk([&](const HalfStep& step) { code_step(step); });
    }

    void put(int16_t* out) const {
        for (const Vector& vector : known_) {
            *out++ = static_cast<int16_t>(vector.y);
            *out++ = static_cast<int16_t>(vector.x);
        }
    }

private:
    struct Place {
        size_t cell, number;  // in the field, and among what was found
    };

    bool counts(size_t cell) const { return modes_ == nullptr || modes_[cell] != unused_; }
    Vector at(const int16_t* field, size_t cell) const { return {field[2 * cell], field[2 * cell + 1]}; }
    Vector guess_at(size_t cell) const {
        const Vector guess = at(guess_, cell);
        return {within(guess.y, kVectorLimit), within(guess.x, kVectorLimit)};
    }

    // The first candidate that is the target, or kNew.
    int32_t choice_of(const Candidates& candidates, const Vector& target) const {
        const auto* end = candidates.vectors + kNear + 1;
        const auto* place = std::find(candidates.vectors, end, target);
        return place == end ? kNew : static_cast<int32_t>(place - candidates.vectors);
    }

    void code_step(const HalfStep& step) {
        const size_t n = step.cells.size();
        found_.resize(n);
        inside_.clear();
        contexts_.clear();
        for (size_t i = 0; i < n; ++i) {
            const size_t cell = step.cells[i];
            Vector guess{};
            if (guess_ != nullptr) guess = guess_at(cell);
            rank(known_, &step.near[kNear * i], guess_ == nullptr ? nullptr : &guess, step.level, found_[i]);
            if (!counts(cell)) continue;
            inside_.push_back({cell, i});
            contexts_.push_back(found_[i].context);
        }
        // neighbours are of other half steps: nothing that was ranked changes here
        for (size_t i = 0; i < n; ++i) known_[step.cells[i]] = found_[i].vectors[0];
        if (inside_.empty()) return;
        symbols_.resize(inside_.size());
        for (size_t i = 0; wanted_ != nullptr && i < inside_.size(); ++i) {
            symbols_[i] = choice_of(found_[inside_[i].number], at(wanted_, inside_[i].cell));
        }
        line_.code(kChoice, contexts_.data(), symbols_.data(), symbols_.size());
        new_.clear();
        for (size_t i = 0; i < inside_.size(); ++i) {
            const int32_t choice = std::clamp(symbols_[i], 0, kNew);
            if (choice == kNew) {
                new_.push_back(inside_[i]);
            } else {
                known_[inside_[i].cell] = found_[inside_[i].number].vectors[choice];
            }
        }
        if (!new_.empty()) code_new(step.level);
    }

    // Vectors that no candidate gives, of the blocks in `new_`.
    void code_new(int level) {
        const size_t n = new_.size();
        std::vector<Spread> y(n), x(n);
        std::vector<int32_t> dy(n), dx(n);
        contexts_.resize(n);
        for (size_t i = 0; i < n; ++i) {
            const Vector* v = found_[new_[i].number].around;
            y[i] = spread_of(v[0].y, v[1].y, v[2].y, v[3].y);
            x[i] = spread_of(v[0].x, v[1].x, v[2].x, v[3].x);
            contexts_[i] = ((level * 8 + y[i].width) * 8 + x[i].width) * 4 + y[i].middle;
            if (wanted_ == nullptr) continue;
            const Vector target = at(wanted_, new_[i].cell);
            dy[i] = target.y - y[i].median;
            dx[i] = target.x - x[i].median;
        }
        line_.code(kDy, contexts_.data(), dy.data(), n);
        for (size_t i = 0; i < n; ++i) {
            dy[i] = within(dy[i], kDifferenceLimit);
            contexts_[i] = (((level * 8 + x[i].width) * 8 + y[i].width) * 4 + x[i].middle) * 5 +
                           class_of(std::abs(dy[i]), 4);
        }
        line_.code(kDx, contexts_.data(), dx.data(), n);
        for (size_t i = 0; i < n; ++i) {
            known_[new_[i].cell] = {within(y[i].median + dy[i], kVectorLimit),
                                    within(x[i].median + within(dx[i], kDifferenceLimit), kVectorLimit)};
        }
    }

    MotionLine& line_;
    const Grid& grid_;
    const int16_t* wanted_;
    const uint8_t* modes_;
    uint8_t unused_;  // the mode of blocks that have no use for the field
    const int16_t* guess_;
    std::vector<Vector> known_;
    // the half step at work
    std::vector<Candidates> found_;
    std::vector<Place> inside_, new_;
    std::vector<int32_t> contexts_, symbols_;
};

// Gets symbols from a coder.
class Reader : public MotionLine {
public:
    Reader(const SymbolPort& port, const uint8_t* const (&maps)[kMotionKinds], MotionCalls* calls)
        : port_(port), maps_(maps), calls_(calls) {}

    void code(MotionKind kind, const int32_t* contexts, int32_t* symbols, size_t n) override {
        tables_.resize(n);
        for (size_t i = 0; i < n; ++i) tables_[i] = maps_[kind][contexts[i]];
        get_symbols(port_, tables_.data(), n, symbols);
        if (calls_ == nullptr) return;
        const std::vector<int32_t> numbers(tables_.begin(), tables_.end());
        calls_->add(kind, numbers.data(), symbols, n);
    }

private:
    const SymbolPort& port_;
    const uint8_t* const (&maps_)[kMotionKinds];
    MotionCalls* calls_;
    std::vector<uint8_t> tables_;
};

}  // namespace

void MotionCalls::add(MotionKind kind, const int32_t* given, const int32_t* values, size_t n) {
    kinds.push_back(kind);
    lengths.push_back(static_cast<int32_t>(n));
    contexts.insert(contexts.end(), given, given + n);
    symbols.insert(symbols.end(), values, values + n);
}

void code_field(MotionLine& line, const Grid& grid, const int16_t* wanted, const uint8_t* modes, int number,
                const int16_t* guess, int16_t* out) {
    FieldWalk walk(line, grid, wanted, modes, number, guess);
    walk.walk();
    walk.put(out);
}

void code_modes(MotionLine& line, const Grid& grid, const uint8_t* wanted, uint8_t* out) {
    constexpr int32_t kCounts[kMotionModes] = {5, 1, 0};  // a context counts the neighbours of the first two modes
    const int32_t root = 0;
    int32_t everywhere = kMotionModes;
    if (wanted != nullptr && std::count(wanted, wanted + grid.blocks(), wanted[0]) == static_cast<ptrdiff_t>(grid.blocks()))
        everywhere = wanted[0];
    line.code(kUniform, &root, &everywhere, 1);
    if (everywhere >= 0 && everywhere < kMotionModes) {
        std::fill_n(out, grid.blocks(), static_cast<uint8_t>(everywhere));
        return;
    }
    std::vector<int32_t> contexts(1, kRootLevel * 25), symbols(1);
    const auto code = [&](const std::vector<size_t>& cells) {
        for (size_t i = 0; wanted != nullptr && i < cells.size(); ++i) symbols[i] = wanted[cells[i]];
        line.code(kMode, contexts.data(), symbols.data(), cells.size());
        for (size_t i = 0; i < cells.size(); ++i)
            out[cells[i]] = static_cast<uint8_t>(std::clamp(symbols[i], 0, kMotionModes - 1));
    };
    code({0});
    Order(grid).walk([&](const HalfStep& step) {
        contexts.assign(step.cells.size(), step.level * 25);
        symbols.resize(step.cells.size());
        for (size_t i = 0; i < step.near.size(); ++i) contexts[i / kNear] += kCounts[out[step.near[i]]];
        code(step.cells);
    });
}

void read_motion(const SymbolPort& port, const uint8_t* const (&maps)[kMotionKinds], const Grid& grid, size_t count,
                 const int16_t* const (&guesses)[2], int16_t* fields, uint8_t* modes, MotionCalls* calls) {
    Reader line(port, maps, calls);
    const uint8_t* chosen = count == 2 ? modes : nullptr;
    if (count == 2) code_modes(line, grid, nullptr, modes);
    std::vector<int16_t> mirrored;
    for (size_t number = 0; number < count; ++number) {
        const auto context = static_cast<int32_t>(number);
        int32_t source = 0;
        line.code(kSource, &context, &source, 1);
        // a forged stream may name one that is not there, which is none
        const int16_t* guess = source == kGivenGuess ? guesses[number] : nullptr;
        if (source == kMirror && number == 1) {
            mirrored.assign(fields, fields + 2 * grid.blocks());
            for (int16_t& component : mirrored) component = static_cast<int16_t>(-component);
            guess = mirrored.data();
        }
        code_field(line, grid, nullptr, chosen, static_cast<int>(number), guess, fields + number * 2 * grid.blocks());
    }
}

}  // namespace tessera
