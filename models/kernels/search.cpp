// Motion search in whole samples, coarse to fine. At each size a block tries the vectors found around it at the coarser
// size and those of its neighbours, and walks downhill from the best of them.
#include "search.hpp"

#include <cmath>
#include <deque>

#include "search_field.hpp"
#include "search_overlap.hpp"
#include "search_planes.hpp"

namespace tessera {
namespace {

constexpr size_t kMostLevels = 4;    // sizes that are searched, each half of the one before
constexpr size_t kSmallestStep = 4;  // samples from block to block
constexpr size_t kExhaustive = 8;    // the coarsest size tries every vector within so many samples
constexpr int kMostSteps = 16;       // steps downhill from the best vector tried
const Vector kSides[4] = {{-1, 0}, {0, -1}, {0, 1}, {1, 0}};

// One size of the pictures. Vectors are in its samples.
struct Level {
    Level(size_t depth_, size_t height, size_t width, size_t block)
        : depth(depth_), step(std::max(kSmallestStep, block >> depth_)), current(height, width),
          reference(height, width), field((height + step - 1) / step, (width + step - 1) / step) {}
    size_t depth, step;
    Plane current, reference;
    Field field;
};

class LevelSearch {
public:
    LevelSearch(Level& level, const MotionSearch& motion, const int16_t* guess, const MotionLoops& loops)
        : level_(level), motion_(motion), guess_(guess), loops_(loops),
          window_((level.step + level.step / 2 + 7) / 8 * 8) {
        const auto area = static_cast<float>(window_ * window_);
        scale_ = static_cast<float>(motion.block * motion.block) / area;
    }

    void try_all(size_t radius, size_t threads) {
        const int reach = static_cast<int>(radius >> level_.depth);
        sweep(level_.field.rows, level_.field.columns, false, threads, [&](size_t r, size_t c) {
            Best best = start(r, c, {});
            for (int y = -reach; y <= reach; ++y) {
                for (int x = -reach; x <= reach; ++x) consider({y, x}, {}, r, c, best);
            }
            level_.field.at(r, c) = best.vector;
        });
    }

    // Vectors of the coarser level, twice as long, where their blocks were.
    void inherit(const Level& coarser) {
        for (size_t r = 0; r < level_.field.rows; ++r) {
            for (size_t c = 0; c < level_.field.columns; ++c) level_.field.at(r, c) = parent(coarser, r, c, 0, 0);
        }
    }

    void improve(const Level* coarser, size_t threads) {
        sweep(level_.field.rows, level_.field.columns, false, threads, [&](size_t r, size_t c) {
            const Vector expected = median_around(level_.field, r, c);
            Few<Vector, 20> tries;
            tries.add({});
            if (guess_ != nullptr) tries.add(guessed(r, c));
            around(level_.field.rows, level_.field.columns, r, c,
                   [&](size_t y, size_t x) { tries.add(level_.field.at(y, x)); });
            if (coarser != nullptr) {
                for (const Vector& side : kSides) tries.add(parent(*coarser, r, c, side.y, side.x));
            }
            Best best = start(r, c, expected);
            for (const Vector& vector : tries) consider(vector, expected, r, c, best);
            for (int i = 0; i < kMostSteps; ++i) {
                const Vector centre = best.vector;
                for (const Vector& side : kSides) consider(centre + side, expected, r, c, best);
                if (best.vector == centre) break;
            }
            level_.field.at(r, c) = best.vector;
        });
    }

private:
    struct Best {
        Vector vector;
        float cost;
    };

    Vector parent(const Level& coarser, size_t r, size_t c, int below, int right) const {
        const auto place = [&](size_t at, int side, size_t count) {
            const auto centre = static_cast<ptrdiff_t>((2 * at + 1) * level_.step / (4 * coarser.step));
            return static_cast<size_t>(std::clamp<ptrdiff_t>(centre + side, 0, static_cast<ptrdiff_t>(count) - 1));
        };
        return coarser.field.at(place(r, below, coarser.field.rows), place(c, right, coarser.field.columns)) * 2;
    }

    Vector guessed(size_t r, size_t c) const {
        const auto place = [&](size_t at, size_t count) {
            return std::min(((2 * at + 1) * level_.step << level_.depth) / (2 * motion_.block), count - 1);
        };
        const int16_t* vector =
            guess_ + 2 * (place(r, motion_.rows()) * motion_.columns() + place(c, motion_.columns()));
        const int unit = 4 << level_.depth;
        const auto rounded = [&](int v) { return static_cast<int>(std::floor((v + unit / 2) / double(unit))); };
        return {rounded(vector[0]), rounded(vector[1])};
    }

    Best start(size_t r, size_t c, const Vector& expected) const {
        const Vector vector = level_.field.at(r, c);
        return {vector, cost(vector, expected, r, c)};
    }

    void consider(const Vector& vector, const Vector& expected, size_t r, size_t c, Best& best) const {
        const int most = kLongestVector >> (2 + level_.depth);
        if (vector == best.vector || std::abs(vector.y) > most || std::abs(vector.x) > most) return;
        const float found = cost(vector, expected, r, c);
        if (found < best.cost) best = {vector, found};
    }

    float cost(const Vector& vector, const Vector& expected, size_t r, size_t c) const {
        const ptrdiff_t beside = (static_cast<ptrdiff_t>(level_.step) - static_cast<ptrdiff_t>(window_)) / 2;
        const ptrdiff_t y = static_cast<ptrdiff_t>(r * level_.step) + beside;
        const ptrdiff_t x = static_cast<ptrdiff_t>(c * level_.step) + beside;
        const uint32_t error = loops_.difference(level_.current.window(y, x, window_, window_),
                                                 level_.reference.window(y + vector.y, x + vector.x, window_, window_),
                                                 window_, window_);
        const Vector apart = (vector + expected * -1) * (4 << level_.depth);
        return static_cast<float>(error) * scale_ + motion_.price * bits_of(apart);
    }

    Level& level_;
    const MotionSearch& motion_;
    const int16_t* guess_;
    const MotionLoops& loops_;
    size_t window_;
    float scale_;
};

Field whole_samples(const MotionSearch& motion, const int16_t* guess, size_t radius, size_t threads,
                    const Kernels& kernels) {
    std::deque<Level> levels;
    for (size_t depth = 0, height = motion.height, width = motion.width; depth < kMostLevels; ++depth) {
        levels.emplace_back(depth, height, width, motion.block);
        if (depth == 0) {
            fill(levels[0].current, motion.current);
            fill(levels[0].reference, motion.planes[0]);
        } else {
            halve(levels[depth - 1].current, levels[depth].current);
            halve(levels[depth - 1].reference, levels[depth].reference);
        }
        if (radius >> depth <= kExhaustive || std::min(height, width) < 16) break;
        height = (height + 1) / 2;
        width = (width + 1) / 2;
    }
    const Level* coarser = nullptr;
    for (auto level = levels.rbegin(); level != levels.rend(); ++level) {
        LevelSearch search(*level, motion, guess, kernels.motion);
        if (coarser == nullptr) {
            search.try_all(radius, threads);
        } else {
            search.inherit(*coarser);
        }
        search.improve(coarser, threads);
        coarser = &*level;
    }
    return levels.front().field;
}

void store(const Field& field, int16_t* to) {
    for (const Vector& vector : field.vectors) {
        *to++ = static_cast<int16_t>(vector.y);
        *to++ = static_cast<int16_t>(vector.x);
    }
}

Field load(const int16_t* from, size_t rows, size_t columns) {
    Field field(rows, columns);
    for (Vector& vector : field.vectors) {
        vector.y = std::clamp<int>(*from++, -kLongestVector, kLongestVector);
        vector.x = std::clamp<int>(*from++, -kLongestVector, kLongestVector);
    }
    return field;
}

}  // namespace

float bits_of(const Vector& apart) {
    constexpr int kMost = 2 * kLongestVector + 2;
    static const std::vector<float> table = [] {
        std::vector<float> bits(kMost);
        bits[0] = 0.1f;
        for (int i = 1; i < kMost; ++i) bits[static_cast<size_t>(i)] = 3.0f + 2.0f * std::log2(static_cast<float>(i));
        return bits;
    }();
    return table[static_cast<size_t>(std::min(std::abs(apart.y), kMost - 1))] +
           table[static_cast<size_t>(std::min(std::abs(apart.x), kMost - 1))];
}

void search(const MotionSearch& motion, const int16_t* guess, size_t radius, int16_t* field, size_t threads,
            const Kernels& kernels) {
    Field found = whole_samples(motion, guess, radius, threads, kernels);
    for (Vector& vector : found.vectors) vector = vector * 4;
    std::vector<Field> fields{std::move(found)};
    std::vector<Field> known;
    if (guess != nullptr) known.push_back(load(guess, motion.rows(), motion.columns()));
    Overlap overlap(motion, std::move(fields), std::move(known), threads, kernels);
    overlap.refine(threads);
    store(overlap.field(0), field);
}

void decide(const MotionSearch& motion, const int16_t* guesses, int16_t* fields, uint8_t* modes, size_t threads,
            const Kernels& kernels) {
    const size_t size = 2 * motion.rows() * motion.columns();
    std::vector<Field> found;
    for (size_t r = 0; r < 2; ++r) found.push_back(load(fields + r * size, motion.rows(), motion.columns()));
    std::vector<Field> known;
    for (size_t r = 0; r < 2 && guesses != nullptr; ++r)
        known.push_back(load(guesses + r * size, motion.rows(), motion.columns()));
    Overlap overlap(motion, std::move(found), std::move(known), threads, kernels);
    overlap.refine(threads);
    overlap.continue_unused();
    for (size_t r = 0; r < 2; ++r) store(overlap.field(r), fields + r * size);
    std::copy(overlap.modes().begin(), overlap.modes().end(), modes);
}

}  // namespace tessera
