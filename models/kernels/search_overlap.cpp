#include "search_overlap.hpp"

#include <cmath>
#include <utility>

namespace tessera {
namespace {

constexpr int kRounds = 4;
constexpr float kPrices[kRounds] = {2.0f, 3.0f, 1.5f, 1.0f};  // price of a bit in each round: a field starts smooth
constexpr float kKneesABit = 1.4f;     // price of a bit in transformed rounds, in knees
constexpr float kGuessBits = 4.0f;     // bits of a vector that is the guess
constexpr float kNewBits = 1.0f;       // bits of a new vector, besides those of its difference
const Vector kEight[8] = {{-1, 0}, {0, -1}, {0, 1}, {1, 0}, {-1, -1}, {-1, 1}, {1, -1}, {1, 1}};
constexpr size_t kArea = kLargestWindow * kLargestWindow;

}  // namespace

struct Overlap::Choice {
    uint8_t mode = 0;
    Vector vectors[2];
    bool uses(size_t reference) const { return mode == kBoth || mode == reference; }
    bool operator==(const Choice& other) const {
        return mode == other.mode && (!uses(0) || vectors[0] == other.vectors[0]) &&
               (!uses(1) || vectors[1] == other.vectors[1]);
    }
};

// Where a block has weight, and how much.
struct Overlap::Window {
    ptrdiff_t y, x;
    size_t rows, columns;
    const int16_t* weights;  // (rows, kLargestWindow), units of 1 / 2^15
};

struct Overlap::Trial {
    Window window;
    int16_t target[kArea];
    Vector expected[2], guess[2];
    std::vector<Vector> near[2];  // per reference, vectors of the neighbours that use it
    float mode_bits[3];
    Choice best;
    float cost;
    float price;
    bool transformed;
    Few<Choice, 48> tried;  // what would cost the same again
};

Overlap::Overlap(const MotionSearch& motion, std::vector<Field> fields, std::vector<Field> guess, size_t threads,
                 const Kernels& kernels)
    : motion_(motion), loops_(kernels.motion), guess_(std::move(guess)), rows_(motion.rows()),
      columns_(motion.columns()), pitch_(motion.width + kLargestWindow), fields_(std::move(fields)),
      modes_(rows_ * columns_, 0), rest_(motion.height * pitch_, 0) {
    for (size_t r = 0; r < motion.references; ++r)
        phases_.push_back(std::make_unique<Phases>(motion.planes[r], motion.height, motion.width, threads, kernels));
    weigh_windows();
    if (motion.references == 2) choose_modes();
    fill_rest();
}

std::array<Overlap::Ramp, Overlap::kRamps> Overlap::ramps_of(size_t count, size_t length) const {
    const size_t block = motion_.block, places[kRamps] = {0, 1, count - 1, 0};
    std::array<Ramp, kRamps> ramps;
    for (size_t kind = 0; kind < kRamps; ++kind) {
        const bool rises = kind == 1 || kind == 2, falls = kind < 2;
        const size_t at = places[kind], first = rises ? at * block - block / 2 : 0;
        const size_t last = std::min(length, at * block + 3 * block / 2);
        if ((rises && at == 0) || first >= last) continue;  // no block is of this kind
        for (size_t i = first; i < last; ++i) {
            size_t weight = 2 * block;
            if (i < at * block + block / 2) {
                if (rises) weight = 2 * (i - first) + 1;
            } else if (falls) {
                weight = 2 * block - (2 * (i - at * block - block / 2) + 1);
            }
            ramps[kind].weights[i - first] = static_cast<int16_t>(weight);
        }
        ramps[kind].size = last - first;
    }
    return ramps;
}

void Overlap::weigh_windows() {
    down_ = ramps_of(rows_, motion_.height);
    across_ = ramps_of(columns_, motion_.width);
    weights_.assign(kRamps * kRamps * kArea, 0);
    const int unit = motion_.block == 8 ? 128 : 32;
    int16_t* to = weights_.data();
    for (const Ramp& down : down_) {
        for (const Ramp& across : across_) {
            for (size_t y = 0; y < kLargestWindow; ++y) {
                for (size_t x = 0; x < kLargestWindow; ++x)
                    *to++ = static_cast<int16_t>(std::min(down.weights[y] * across.weights[x] * unit, 32767));
            }
        }
    }
}

Overlap::Window Overlap::window_of(size_t r, size_t c) const {
    const auto kind = [](size_t at, size_t count) {
        if (count == 1) return size_t{3};
        return at == 0 ? size_t{0} : at + 1 < count ? size_t{1} : size_t{2};
    };
    const auto start = [&](size_t at) { return static_cast<ptrdiff_t>(at == 0 ? 0 : at * motion_.block - motion_.block / 2); };
    const size_t y = kind(r, rows_), x = kind(c, columns_);
    return {start(r), start(c), down_[y].size, across_[x].size, weights_.data() + (y * kRamps + x) * kArea};
}

Samples Overlap::samples(const Choice& choice, const Window& window, int16_t* patch) const {
    // as many as the loops take at once: those behind the window have no weight
    const size_t rows = (window.rows + 7) / 8 * 8, columns = (window.columns + 15) / 16 * 16;
    const auto of = [&](size_t r) {
        return phases_[r]->window(choice.vectors[r].y, choice.vectors[r].x, window.y, window.x, rows, columns);
    };
    if (choice.mode != kBoth) return of(choice.mode);
    loops_.average(of(0), of(1), rows, columns, patch);
    return {patch, kPatch};
}

Overlap::Choice Overlap::choice_of(size_t r, size_t c) const {
    Choice choice;
    choice.mode = modes_[r * columns_ + c];
    for (size_t i = 0; i < fields_.size(); ++i) choice.vectors[i] = fields_[i].at(r, c);
    return choice;
}

bool Overlap::uses(size_t r, size_t c, size_t reference) const {
    const uint8_t mode = modes_[r * columns_ + c];
    return mode == kBoth || mode == reference;
}

void Overlap::choose_modes() {
    Plane current(motion_.height, motion_.width);
    fill(current, motion_.current);
    const size_t side = 2 * motion_.block;
    int16_t patch[kLargestWindow * kPatch];
    for (size_t r = 0; r < rows_; ++r) {
        for (size_t c = 0; c < columns_; ++c) {
            Window window = window_of(r, c);
            window.rows = window.columns = side;
            Choice choice = choice_of(r, c);
            uint32_t least = UINT32_MAX;
            for (const uint8_t mode : {kBoth, uint8_t{0}, uint8_t{1}}) {
                choice.mode = mode;
                const uint32_t error = loops_.difference(current.window(window.y, window.x, side, side),
                                                         samples(choice, window, patch), side, side);
                if (error < least) {
                    least = error;
                    modes_[r * columns_ + c] = mode;
                }
            }
        }
    }
}

int16_t* Overlap::rest_at(const Window& window) {
    return &rest_[static_cast<size_t>(window.y) * pitch_ + static_cast<size_t>(window.x)];
}

void Overlap::fill_rest() {
    for (size_t y = 0; y < motion_.height; ++y)
        std::copy_n(motion_.current + y * motion_.width, motion_.width, &rest_[y * pitch_]);
    int16_t patch[kLargestWindow * kPatch], target[kArea];
    const int16_t nothing[kLargestWindow] = {};
    for (size_t r = 0; r < rows_; ++r) {
        for (size_t c = 0; c < columns_; ++c) {
            const Window window = window_of(r, c);
            int16_t* rest = rest_at(window);
            loops_.expose(rest, pitch_, {nothing, 0}, window.weights, window.rows, window.columns, target);
            loops_.cover(target, samples(choice_of(r, c), window, patch), window.weights, window.rows, window.columns,
                         rest, pitch_);
        }
    }
}

float Overlap::bits(const Choice& choice, const Trial& trial) const {
    float sum = trial.mode_bits[choice.mode];
    for (size_t i = 0; i < fields_.size(); ++i) {
        if (choice.uses(i)) sum += bits(choice.vectors[i], i, trial);
    }
    return sum;
}

// Roughly what the coder spends: few bits for a vector that most neighbours have, more for a rare one or the guess,
// most for a new one.
float Overlap::bits(const Vector& vector, size_t reference, const Trial& trial) const {
    const auto& near = trial.near[reference];
    const auto same = static_cast<float>(std::count(near.begin(), near.end(), vector));
    const float found = same == 0 ? kNewBits + bits_of(vector + trial.expected[reference] * -1)
                                  : std::log2((static_cast<float>(near.size()) + 1.2f) / (same + 0.2f));
    return !guess_.empty() && vector == trial.guess[reference] ? std::min(found, kGuessBits) : found;
}

void Overlap::consider(Trial& trial, const Choice& choice) const {
    for (const Vector& v : choice.vectors) {
        if (std::abs(v.y) > kLongestVector || std::abs(v.x) > kLongestVector) return;
    }
    if (!trial.tried.add(choice)) return;
    const float price = trial.price * bits(choice, trial);
    if (price >= trial.cost) return;
    int16_t patch[kLargestWindow * kPatch];
    const Window& window = trial.window;
    const float limit = std::min(trial.cost - price, 4e9f);
    const Samples predicted = samples(choice, window, patch);
    const float error =
        trial.transformed
            ? loops_.left_over_transformed(trial.target, predicted, window.weights, window.rows, window.columns,
                                           motion_.knee, limit)
            : static_cast<float>(loops_.left_over(trial.target, predicted, window.weights, window.rows, window.columns,
                                                  static_cast<uint32_t>(limit)));
    const float cost = error + price;
    if (cost < trial.cost) {
        trial.cost = cost;
        trial.best = choice;
    }
}

// The eight vectors `step` away from the best one.
void Overlap::walk(Trial& trial, int step) const {
    for (size_t i = 0; i < fields_.size(); ++i) {
        if (!trial.best.uses(i)) continue;
        const Choice centre = trial.best;
        for (const Vector& side : kEight) {
            Choice choice = centre;
            choice.vectors[i] = choice.vectors[i] + side * step;
            consider(trial, choice);
        }
    }
}

// What is known around a block: vectors and what they cost, and the choices of others, the guess among them.
Few<Overlap::Choice, 9> Overlap::look_around(size_t r, size_t c, Trial& trial) const {
    Few<Choice, 9> others;
    size_t same[3] = {};
    around(rows_, columns_, r, c, [&](size_t y, size_t x) {
        others.add(choice_of(y, x));
        ++same[modes_[y * columns_ + x]];
    });
    const auto neighbours = static_cast<float>(same[0] + same[1] + same[2]);
    for (size_t mode = 0; mode < 3 && fields_.size() == 2; ++mode)
        trial.mode_bits[mode] = std::log2((neighbours + 1.5f) / (static_cast<float>(same[mode]) + 0.5f));
    Choice guess;
    guess.mode = fields_.size() == 2 ? kBoth : uint8_t{0};
    for (size_t i = 0; i < fields_.size(); ++i) {
        Median median;
        around(rows_, columns_, r, c, [&](size_t y, size_t x) {
            if (!uses(y, x, i)) return;
            median.add(fields_[i].at(y, x));
            trial.near[i].push_back(fields_[i].at(y, x));
        });
        trial.expected[i] = median.count > 0 ? median.get() : median_around(fields_[i], r, c);
        if (!guess_.empty()) guess.vectors[i] = trial.guess[i] = guess_[i].at(r, c);
    }
    if (!guess_.empty()) others.add(guess);
    return others;
}

void Overlap::consider_others(const Choice& own, const Few<Choice, 9>& others, Trial& trial) const {
    if (fields_.size() == 2) {
        for (const uint8_t mode : {uint8_t{0}, uint8_t{1}, kBoth}) {
            Choice choice = own;
            choice.mode = mode;
            if (mode != own.mode) consider(trial, choice);
        }
    }
    for (const Choice& other : others) {
        Choice choice = own;
        choice.mode = other.mode;
        for (size_t i = 0; i < fields_.size(); ++i) {
            if (other.uses(i)) choice.vectors[i] = other.vectors[i];
        }
        consider(trial, choice);
        for (size_t i = 0; i < fields_.size() && fields_.size() == 2; ++i) {
            choice = own;
            choice.vectors[i] = other.vectors[i];
            if (other.uses(i) && own.uses(i)) consider(trial, choice);
        }
    }
}

void Overlap::visit(size_t r, size_t c, int round) {
    int16_t patch[kLargestWindow * kPatch];
    const Choice own = choice_of(r, c);
    Trial trial{};
    trial.window = window_of(r, c);
    const Window& window = trial.window;
    int16_t* rest = rest_at(window);
    loops_.expose(rest, pitch_, samples(own, window, patch), window.weights, window.rows, window.columns, trial.target);
    const auto others = look_around(r, c, trial);
    trial.transformed = round > 0;
    trial.price = kPrices[round] * (trial.transformed ? kKneesABit * motion_.knee : motion_.price);
    trial.best = own;
    trial.cost = INFINITY;
    consider(trial, own);
    consider_others(own, others, trial);
    for (int step = round == 0 ? 2 : 1; step > 0; step /= 2) walk(trial, step);
    if (trial.best == own) return;
    loops_.cover(trial.target, samples(trial.best, window, patch), window.weights, window.rows, window.columns, rest,
                 pitch_);
    modes_[r * columns_ + c] = trial.best.mode;
    for (size_t i = 0; i < fields_.size(); ++i) fields_[i].at(r, c) = trial.best.vectors[i];
}

void Overlap::refine(size_t threads) {
    for (int round = 0; round < kRounds; ++round) {
        sweep(rows_, columns_, round % 2 == 1, threads, [&](size_t r, size_t c) { visit(r, c, round); });
    }
}

void Overlap::continue_unused() {
    for (int round = 0; round < kRounds; ++round) {
        for (size_t i = 0; i < fields_.size(); ++i) {
            for (size_t r = 0; r < rows_; ++r) {
                for (size_t c = 0; c < columns_; ++c) {
                    if (!uses(r, c, i)) fields_[i].at(r, c) = median_around(fields_[i], r, c);
                }
            }
        }
    }
}

}  // namespace tessera
