#include "fit_parts.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <stdexcept>

namespace tessera {
namespace fit {
namespace {

constexpr size_t kNoise = size_t{1} << 18;
constexpr size_t kThreadPixels = size_t{1} << 14;  // that are worth a thread

bool within_margins(const Place& place) {
    return std::abs(place.dy) <= static_cast<int>(kMarginRows) && std::abs(place.dx) <= static_cast<int>(kMargin);
}

uint64_t next(uint64_t& state) {  // splitmix64
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double uniform(uint64_t& state) { return static_cast<double>(next(state) >> 11) * 0x1p-53; }

}  // namespace

Fit::Fit(const uint8_t* pixels, const Shape& shape, uint64_t seed, const FitLoops& loops)
    : shape_(shape), loops_(&loops), state_(seed) {
    const bool fits = shape.height >= 1 && shape.width >= 1 && shape.width <= kLongest && shape.height <= kLongest &&
                      (shape.channels == 1 || shape.channels == 3) && shape.levels >= 1 && shape.levels <= kMostPlanes &&
                      std::all_of(shape.places.begin(), shape.places.end(), within_margins) &&
                      shape.features <= kMostFeatures && shape.inputs() <= kMostInputs && shape.hidden >= 1 &&
                      shape.hidden <= kMostHidden && (shape.windows == 1 || shape.windows == 2);
    if (!fits) throw std::invalid_argument("the loops of a fit do not take this shape");
    pixels_.assign(pixels, pixels + shape.height * shape.width * shape.channels);
    make_grids();
    lay_out();
    make_planes();
    noise_.resize(kNoise + kLongest + kWidest);
    for (size_t i = 0; i + 1 < noise_.size(); i += 2) {  // Box and Muller
        const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform(state_))), turn = 6.283185307179586 * uniform(state_);
        noise_[i] = static_cast<float>(radius * std::cos(turn));
        noise_[i + 1] = static_cast<float>(radius * std::sin(turn));
    }
}

// -- one pass --------------------------------------------------------------------------------------------------------------

void Fit::quantise(const Rounding& rounding, size_t threads) {
    std::vector<std::vector<size_t>> noise(grids_.size());  // where each row's begins
    for (size_t i = 0; i < grids_.size(); ++i) {
        noise[i].assign(grids_[i].values.height, 0);
        if (rounding.temperature <= 0.0f) continue;
        for (size_t& start : noise[i]) start = next(state_) % kNoise;
    }
    in_rows(threads, [&](size_t part, Rows) {
        std::vector<float> scaled(shape_.width + kWidest, 0.0f), slope(shape_.width + kWidest);
        for (size_t i = 0; i < grids_.size(); ++i) {
            Grid& grid = grids_[i];
            const size_t width = grid.values.width;
            const Rows rows = rows_of(grid.values.height, part, parts_);
            for (size_t y = rows.first; y < rows.last; ++y) {
                const float* from = grid.latents.data() + y * width;
                for (size_t x = 0; x < width; ++x) scaled[x] = from[x] * kGain;
                loops_->quantise(scaled.data(), noise_.data() + noise[i][y], width, rounding.temperature,
                                 rounding.deviation, grid.values.row(y), slope.data());
                float* to = grid.slopes.data() + y * width;
                for (size_t x = 0; x < width; ++x) to[x] = slope[x] * kGain;
            }
        }
    });
}

Answer Fit::pass(const float* parameters, const Rounding& rounding, float rate_weight, float* gradients, size_t threads) {
    Answer answer{};
    threads = std::max<size_t>(1, std::min(threads, shape_.height * shape_.width / kThreadPixels));
    quantise(rounding, threads);
    if (gradients) {
        for (std::vector<float>& sums : sums_) std::fill(sums.begin(), sums.end(), 0.0f);
        std::fill_n(gradients, parameters_, 0.0f);
        for (Grid& grid : grids_) clear(grid.gradient);
    }
    make_pyramid(parameters, threads);
    const SynthesisJob job = synthesis(parameters);
    answer.error = synthesise(job, threads) * static_cast<double>(job.gain);
    if (gradients) {
        synthesise_back(job, threads);  // sets gradients of planes, one of them a grid where there is one level
        pyramid_back(parameters, gradients, threads);
    }
    answer.bits = rate(parameters, rate_weight, gradients, threads);
    if (gradients) add_sums(gradients);
    return answer;
}

void Fit::add_sums(float* gradients) {
    std::vector<float>& all = sums_[0];
    for (size_t part = 1; part < parts_; ++part) {
        for (size_t i = 0; i < all.size(); ++i) all[i] += sums_[part][i];
    }
    for (size_t i = 0; i < parameters_; ++i) {
        float total = 0.0f;
        for (size_t lane = 0; lane < kWidest; ++lane) total += all[i * kWidest + lane];
        gradients[i] += total;
    }
}

std::vector<std::vector<float>> Fit::gradient(size_t grid) const {
    const Grid& from = grids_[grid];
    std::vector<std::vector<float>> rows;
    for (size_t y = 0; y < from.values.height; ++y) {
        rows.emplace_back();
        for (size_t x = 0; x < from.values.width; ++x) {
            rows.back().push_back(from.gradient.row(y)[x] * from.slopes[y * from.values.width + x]);
        }
    }
    return rows;
}

void Fit::step_latents(const AdamStep& step, size_t threads) {
    threads = std::max<size_t>(1, std::min(threads, shape_.height * shape_.width / kThreadPixels));
    in_rows(threads, [&](size_t part, Rows) {
        for (Grid& grid : grids_) {
            const size_t width = grid.values.width;
            const Rows rows = rows_of(grid.values.height, part, parts_);
            for (size_t y = rows.first; y < rows.last; ++y) {
                const size_t at = y * width;
                loops_->adam(grid.latents.data() + at, grid.gradient.row(y), grid.slopes.data() + at,
                             grid.first.data() + at, grid.second.data() + at, width, step);
            }
        }
    });
}

void Fit::forget_steps() {
    for (Grid& grid : grids_) {
        std::fill(grid.first.begin(), grid.first.end(), 0.0f);
        std::fill(grid.second.begin(), grid.second.end(), 0.0f);
    }
}

const Dispatch<FitLoops>& fit_dispatch() {
    static const Dispatch<FitLoops> dispatch({
        &scalar_fit(),
#if TESSERA_X86
        &avx2_fit(),
        &avx512_fit(),
#endif
    });
    return dispatch;
}

}  // namespace fit
}  // namespace tessera
