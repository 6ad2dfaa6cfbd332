#include "dyadic.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "dyadic_taps.hpp"
#include "prior_tiles.hpp"

namespace tessera {
namespace {

constexpr size_t kPassPhases[2][2] = {{0, 3}, {1, 2}};
constexpr size_t kSmallestCells = 1024;  // cells that are worth a thread where their sums are made
constexpr size_t kLightCells = 1 << 14;  // the same of lighter work

size_t most_channels(const DyadicLevel& level) {
    size_t most = 1;
    for (const DyadicSlice& slice : level.slices) most = std::max(most, slice.count);
    return most;
}

std::vector<Window> windows_of(const WordMap& map, size_t phase, size_t channels, const Taps& taps) {
    std::vector<Window> windows;
    for (size_t channel = 0; channel < channels; ++channel) {
        for (const Tap& tap : taps) {
            const Neighbour at = neighbour_of(phase, tap);
            windows.push_back(map.window(channel * kPhases + at.phase, at.dy, at.dx));
        }
    }
    return windows;
}

// One row of a low plane: 9 times each cell less the sum of 3 x 3 cells, the border repeated.
void differences(const int32_t* above, const int32_t* here, const int32_t* below, size_t width, int32_t* sums,
                 int32_t* out) {
    for (size_t x = 0; x < width; ++x) sums[x + 1] = above[x] + here[x] + below[x];
    sums[0] = sums[1];
    sums[width + 1] = sums[width];
    for (size_t x = 0; x < width; ++x) out[x] = 9 * here[x] - (sums[x] + sums[x + 1] + sums[x + 2]);
}

}  // namespace

// What one thread works in.
struct DyadicWalk::Scratch {
    explicit Scratch(const DyadicLevel& level) {
        size_t words = std::max({level.hidden / 2, level.view / 2, level.first[0].words}), rows = level.view;
        for (const DyadicSlice& slice : level.slices) {
            words = std::max({words, slice.view[1].words, slice.context.words});
            rows = std::max(rows, 4 * slice.heads[0].blocks);
        }
        sums.resize(rows * kRun);
        activations.resize(std::max(level.hidden, level.view) / 2 * kRun);
        words_.resize(words);
        numbers_.resize(words);
    }

    // Begins the inputs of a convolution.
    void begin() { count_ = found_ = 0; }

    // The next inputs: what windows show of a map.
    void look(const WordMap& map, const std::vector<Window>& windows, size_t count, size_t y, size_t first,
              size_t cells) {
        found_ += map.look(windows.data(), count, y, first, cells, &words_[count_], static_cast<uint16_t>(count_),
                           &numbers_[found_]);
        count_ += count;
    }

    // `count` inputs that are zero, or follow later.
    void skip(size_t count) { count_ += count; }

    // Back to the first input.
    void go_back() { count_ = 0; }

    // Whether all inputs so far are zero.
    bool zero() const { return found_ == 0; }

    // The next inputs: activations of `rows` sums.
    void activate(const int32_t* from, size_t rows, int shift, size_t cells, const DyadicLoops& loops) {
        loops.activate(from, rows, shift, cells, activations.data());
        for (size_t k = 0; k < rows / 2; ++k) {
            words_[count_] = activations.data() + k * cells;
            numbers_[found_++] = static_cast<uint16_t>(count_++);
        }
    }

    void add(const WordConv& conv, size_t cells, const int32_t* biases, int32_t* to, const DyadicLoops& loops) const {
        loops.add_words(conv, words_.data(), numbers_.data(), found_, cells, biases, to);
    }

    std::vector<int32_t> sums;
    std::vector<uint32_t> activations;
    uint8_t bytes[kRun];
    alignas(64) int32_t values[kTile] = {};

private:
    size_t count_ = 0, found_ = 0;
    std::vector<const uint32_t*> words_;
    std::vector<uint16_t> numbers_;
};

template <typename Work>
void DyadicWalk::over_rows(size_t parity, size_t cells, const Work& work) const {
    const std::vector<Row>& rows = rows_[parity];
    const size_t smallest = 1 + cells / (width_ / 2 + 1);
    in_parts(rows.size(), threads_, smallest, [&](size_t first, size_t last) {
        Scratch scratch(level_);
        for (size_t at = first; at < last; ++at) work(rows[at], scratch);
    });
}

template <typename Work>
void DyadicWalk::over_rows(size_t parity, const Work& work) const {
    over_rows(parity, kLightCells, work);
}

DyadicWalk::DyadicWalk(const DyadicLevelPlan& plan, const int32_t* low, const int32_t* above, size_t threads,
                       const Kernels& kernels)
    : plan_(plan),
      level_(*plan.level),
      kernels_(kernels),
      loops_(dyadic_dispatch().find(name_of(kernels.path))),
      height_(plan.height),
      width_(plan.width),
      threads_(threads),
      pitch_(whole_steps((width_ + 1) / 2)),
      most_(most_channels(level_)),
      described_(kAxes * kPhases, (height_ + 1) / 2, (width_ + 1) / 2),
      features_{{most_ * kPhases, (height_ + 1) / 2, (width_ + 1) / 2},
                {most_ * kPhases, (height_ + 1) / 2, (width_ + 1) / 2}},
      totals_(2 * (height_ + 1) * pitch_ * level_.hidden),
      rungs_(most_ * (height_ * width_ + 1) / 2),
      signs_(most_ * (height_ * width_ + 1) / 2),
      quantisers_(most_ * (height_ * width_ + 1) / 2),
      values_(most_ * (height_ * width_ + 1) / 2),
      details_(std::make_unique<Buffer<int32_t>>(kDyadicBands * height_ * width_)),
      blank_(2 * (height_ + 1) * pitch_ / kRunStep),
      blank_rungs_(most_),
      blank_signs_(most_) {
    size_t number = 0;
    for (size_t parity = 0; parity < 2; ++parity) {
        for (const size_t phase : kPassPhases[parity]) {
            const size_t rows = (height_ + 1 - phase / 2) / 2, count = (width_ + 1 - phase % 2) / 2;
            for (size_t y = 0; y < rows && count > 0; ++y) {
                rows_[parity].push_back({phase, y, count, cells_[parity], number++});
                cells_[parity] += count;
            }
        }
    }
    for (size_t phase = 0; phase < kPhases; ++phase) {
        low_windows_[phase] = windows_of(described_, phase, kAxes, low_taps());
        near_windows_[phase] = windows_of(features_[0], phase, most_, near_taps());
        context_windows_[phase] = windows_of(features_[0], phase, most_, context_taps());
    }
    const size_t coded = plan.passes.empty() ? 0 : level_.slices[plan.passes.size() / 2 - 1].end();
    std::fill_n(details_->get() + coded * height_ * width_, (kDyadicBands - coded) * height_ * width_, 0);
    describe(low);
    if (above != nullptr) take_parent(above);
}

// The low plane less its surroundings, in quarters of a step.
void DyadicWalk::describe(const int32_t* low) {
    in_parts(kAxes * height_, threads_, 1 + kSmallestCells / width_, [&](size_t first, size_t last) {
        std::vector<int32_t> sums(width_ + 2), line(width_), quarters(width_);
        std::vector<uint32_t> words(width_);
        for (size_t row = first; row < last; ++row) {
            const size_t axis = row / height_, y = row % height_;
            const int32_t* here = low + row * width_;
            differences(y > 0 ? here - width_ : here, here, y + 1 < height_ ? here + width_ : here, width_,
                        sums.data(), line.data());
            kernels_.exact.hints(line.data(), plan_.reciprocal, width_, quarters.data());
            loops_.features(quarters.data(), line.data(), feature_table(), width_, words.data());
            for (size_t odd = 0; odd < 2; ++odd) {
                const size_t plane = axis * kPhases + 2 * (y % 2) + odd;
                uint32_t* to = described_.row(plane, y / 2);
                for (size_t x = odd; x < width_; x += 2) *to++ = words[x];
                described_.mark(plane, y / 2, loops_);
            }
        }
    });
}

void DyadicWalk::take_parent(const int32_t* above) {
    const size_t rows = (height_ + 1) / 2, columns = (width_ + 1) / 2;
    parent_ = std::make_unique<WordMap>(kParentWords, rows, columns);
    for (size_t word = 0; word < kParentWords; ++word) {
        for (const Tap& tap : context_taps()) parent_windows_.push_back(parent_->window(word, tap.dy, tap.dx));
    }
    in_parts(kParentWords * rows, threads_, 1 + kSmallestCells / width_, [&](size_t first, size_t last) {
        std::vector<uint32_t> words(columns);
        std::vector<int32_t> magnitudes(columns);
        for (size_t at = first; at < last; ++at) {
            const size_t pair = at / rows, y = at % rows;
            uint32_t* to = parent_->row(pair, y);
            for (size_t k = 2 * pair; k < std::min(2 * pair + 2, kDyadicBands); ++k) {
                const int32_t* from = above + (k * rows + y) * columns;
                for (size_t x = 0; x < columns; ++x) magnitudes[x] = magnitude_of_half_steps(from[x]);
                loops_.features(magnitudes.data(), magnitudes.data(), feature_table(), columns, words.data());
                if (k % 2 == 0) {
                    for (size_t x = 0; x < columns; ++x) to[x] = words[x] >> 16;
                } else {
                    for (size_t x = 0; x < columns; ++x) to[x] |= words[x] >> 16 << 16;
                }
            }
            parent_->mark(pair, y, loops_);
        }
    });
}

void DyadicWalk::begin(size_t pass) {
    pass_ = pass;
    slice_ = &level_.slices[pass / 2];
    const std::vector<int32_t>& answers = plan_.passes[pass].answers;
    constexpr int32_t kHalfRung = 1 << (kAnswerShift - 1), kMiddle = kSignTables / 2 << kAnswerShift;
    head_biases_.assign(4 * slice_->heads[0].blocks, 0);
    for (size_t o = 0; o < answers.size(); ++o) head_biases_[o] = answers[o] + (o < slice_->count ? kHalfRung : kMiddle);
    answer_blank();
    over_rows(pass % 2, kSmallestCells, [&](const Row& row, Scratch& scratch) {
        const size_t steps = whole_steps(row.count) / kRunStep, runs = (row.count + kRun - 1) / kRun;
        for (size_t run = 0; run < runs; ++run) {
            const size_t first = steps * run / runs * kRunStep, cells = steps * (run + 1) / runs * kRunStep - first;
            const size_t at = row.number * pitch_ + first;
            int32_t* sums = totals_.get() + at * level_.hidden;
            uint8_t& blank = blank_[at / kRunStep];
            sum_up(row, first, cells, blank, sums, scratch);
            answer(row, first, cells, blank, sums, scratch);
        }
    });
}

// The answers of blank runs.
void DyadicWalk::answer_blank() {
    Scratch scratch(level_);
    std::vector<int32_t> sums(level_.hidden * kRunStep);
    for (size_t o = 0; o < level_.hidden; ++o) std::fill_n(&sums[o * kRunStep], kRunStep, plan_.bias[o]);
    scratch.begin();
    scratch.activate(sums.data(), level_.hidden, kHiddenShift, kRunStep, loops_);
    make_answers(kRunStep, scratch);
    const int32_t* answers = scratch.sums.data();
    for (size_t c = 0; c < slice_->count; ++c) {
        loops_.answers(answers + c * kRunStep, kRungs - 1, kRunStep, scratch.bytes);
        blank_rungs_[c] = scratch.bytes[0];
        loops_.answers(answers + (slice_->count + c) * kRunStep, kSignTables - 1, kRunStep, scratch.bytes);
        blank_signs_[c] = scratch.bytes[0];
    }
}

// The sums that all slices share: from the bias, the coarser details and the low plane at first, and what the slice
// before has coded later.
void DyadicWalk::sum_up(const Row& row, size_t first, size_t cells, uint8_t& blank, int32_t* sums,
                        Scratch& scratch) const {
    scratch.begin();
    if (pass_ >= 2) {
        const WordConv& context = level_.slices[pass_ / 2 - 1].context;
        scratch.look(features_[(pass_ / 2 - 1) % 2], context_windows_[row.phase], context.words, row.y, first, cells);
        if (scratch.zero()) return;
        scratch.add(context, cells, blank ? plan_.bias.data() : nullptr, sums, loops_);
        blank = false;
        return;
    }
    const WordConv& conv = level_.first[row.phase];
    const size_t low = low_windows_[row.phase].size();
    if (parent_) {
        scratch.look(*parent_, parent_windows_, conv.words - low, row.y, first, cells);
    } else {
        scratch.skip(conv.words - low);
    }
    scratch.look(described_, low_windows_[row.phase], low, row.y, first, cells);
    blank = scratch.zero();
    if (!blank) scratch.add(conv, cells, plan_.bias.data(), sums, loops_);
}

void DyadicWalk::answer(const Row& row, size_t first, size_t cells, uint8_t& blank, int32_t* shared,
                        Scratch& scratch) {
    const size_t parity = pass_ % 2, count = slice_->count;
    const size_t inside = std::min(cells, row.count - first), at = row.place + first;
    scratch.begin();
    if (parity == 1) {
        scratch.skip(level_.hidden / 2);
        const size_t near = slice_->view[1].words - level_.hidden / 2;
        scratch.look(features_[pass_ / 2 % 2], near_windows_[row.phase], near, row.y, first, cells);
    }
    if (blank && scratch.zero()) {
        for (size_t c = 0; c < count; ++c) {
            std::memset(rungs_.get() + at + c * cells_[parity], blank_rungs_[c], inside);
            std::memset(signs_.get() + at + c * cells_[parity], blank_signs_[c], inside);
        }
        return;
    }
    if (blank) {
        for (size_t o = 0; o < level_.hidden; ++o) std::fill_n(shared + o * cells, cells, plan_.bias[o]);
        blank = false;
    }
    scratch.go_back();
    scratch.activate(shared, level_.hidden, kHiddenShift, cells, loops_);
    make_answers(cells, scratch);
    const int32_t* sums = scratch.sums.data();
    for (size_t c = 0; c < count; ++c) {
        loops_.answers(sums + c * cells, kRungs - 1, cells, scratch.bytes);
        std::memcpy(rungs_.get() + at + c * cells_[parity], scratch.bytes, inside);
        loops_.answers(sums + (count + c) * cells, kSignTables - 1, cells, scratch.bytes);
        std::memcpy(signs_.get() + at + c * cells_[parity], scratch.bytes, inside);
    }
}

// Answers of the hidden channels, and of what else is looked at, to the scratch.
void DyadicWalk::make_answers(size_t cells, Scratch& scratch) const {
    int32_t* sums = scratch.sums.data();
    scratch.add(slice_->view[pass_ % 2], cells, plan_.passes[pass_].views.data(), sums, loops_);
    scratch.begin();
    scratch.activate(sums, level_.view, kViewShift, cells, loops_);
    scratch.add(slice_->heads[pass_ % 2], cells, head_biases_.data(), sums, loops_);
}

// The first cell of a row in planes (., height, width); the others follow two apart.
template <typename T>
T* DyadicWalk::first_cell(T* planes, size_t band, const Row& row) const {
    return planes + (band * height_ + 2 * row.y + row.phase / 2) * width_ + row.phase % 2;
}

void DyadicWalk::round(const int32_t* given, Trellis& trellis) {
    const size_t parity = pass_ % 2;
    distances_.resize(size());
    over_rows(parity, [&](const Row& row, Scratch&) {
        for (size_t c = 0; c < slice_->count; ++c) {
            const float inverse = plan_.inverse[slice_->start + c] * static_cast<float>(kHalfStep);
            const int32_t* from = first_cell(given, slice_->start + c, row);
            int32_t* to = distances_.data() + c * cells_[parity] + row.place;
            for (size_t i = 0; i < row.count; ++i) {
                const float distance = std::abs(static_cast<float>(from[2 * i])) * inverse + 0.5f;
                to[i] = static_cast<int32_t>(std::min(distance, static_cast<float>(kLargestDistance)));
            }
        }
    });
    trellis.choose(distances_.data(), rungs_.get(), size(), values_.get(), quantisers_.get());
    over_rows(parity, [&](const Row& row, Scratch&) {
        for (size_t c = 0; c < slice_->count; ++c) {
            const int32_t* from = first_cell(given, slice_->start + c, row);
            int32_t* to = values_.get() + c * cells_[parity] + row.place;
            for (size_t i = 0; i < row.count; ++i) to[i] = from[2 * i] < 0 ? -to[i] : to[i];
        }
    });
}

void DyadicWalk::spend(const int32_t* costs, const int32_t* sign_costs) {
    const size_t parity = pass_ % 2;
    spent.resize(height_ * width_, 0);
    over_rows(parity, [&](const Row& row, Scratch& scratch) {
        for (size_t first = 0; first < row.count; first += kTile) {
            const size_t count = std::min(kTile, row.count - first);
            int32_t sums[kTile] = {};
            for (size_t c = 0; c < slice_->count; ++c) {
                const size_t at = c * cells_[parity] + row.place + first;
                for (size_t quantiser = 0; quantiser < kQuantisers; ++quantiser) {
                    int32_t of[kTile] = {};
                    for (size_t i = 0; i < count; ++i) scratch.values[i] = std::abs(values_.get()[at + i]);
                    kernels_.add_costs(scratch.values, rungs_.get() + at, count,
                                       costs + quantiser * kRungs * kCostColumns, of);
                    for (size_t i = 0; i < count; ++i) {
                        sums[i] += quantisers_.get()[at + i] == quantiser ? of[i] : 0;
                    }
                }
                for (size_t i = 0; i < count; ++i) {
                    const int32_t value = values_.get()[at + i];
                    if (value != 0) sums[i] += sign_costs[2 * signs_.get()[at + i] + (value < 0)];
                }
            }
            int32_t* to = first_cell(spent.data(), 0, row) + 2 * first;
            for (size_t i = 0; i < count; ++i) to[2 * i] += sums[i];
        }
    });
}

void DyadicWalk::store() {
    WordMap& features = features_[pass_ / 2 % 2];
    const size_t parity = pass_ % 2;
    over_rows(parity, [&](const Row& row, Scratch&) {
        for (size_t c = 0; c < slice_->count; ++c) {
            const size_t at = c * cells_[parity] + row.place;
            int32_t* values = values_.get() + at;
            const size_t plane = c * kPhases + row.phase;
            loops_.features(values, values, feature_table(), row.count, features.row(plane, row.y));
            features.mark(plane, row.y, loops_);
            for (size_t i = 0; i < row.count; ++i) values[i] = half_steps(values[i], quantisers_.get()[at + i]);
            kernels_.spread(values, nullptr, row.count, first_cell(details_->get(), slice_->start + c, row), nullptr);
        }
    });
}

}  // namespace tessera
