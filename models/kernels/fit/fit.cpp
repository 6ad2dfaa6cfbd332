#include "fit.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace tessera {
namespace fit {
namespace {

constexpr size_t kNoise = size_t{1} << 18;
constexpr double kLn2 = 0.69314718055994531;

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

void clear(const Plane& plane) {
    const size_t rows = plane.height + 2 * kMarginRows;
    float* start = plane.row(-static_cast<ptrdiff_t>(kMarginRows)) - kMargin;
    std::memset(start, 0, rows * plane.stride * sizeof(float));
}

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

void Fit::quantise(const Rounding& rounding) {
    for (Grid& grid : grids_) {
        const size_t width = grid.values.width;
        std::vector<float> scaled(width + kWidest, 0.0f), slope(width + kWidest);
        for (size_t y = 0; y < grid.values.height; ++y) {
            const float* from = grid.latents.data() + y * width;
            for (size_t x = 0; x < width; ++x) scaled[x] = from[x] * kGain;
            const float* noise = noise_.data() + (rounding.temperature > 0.0f ? next(state_) % kNoise : 0);
            loops_->quantise(scaled.data(), noise, width, rounding.temperature, rounding.deviation, grid.values.row(y),
                             slope.data());
            float* to = grid.slopes.data() + y * width;
            for (size_t x = 0; x < width; ++x) to[x] = slope[x] * kGain;
        }
    }
}

// Sums of coarser grids at each one's own sides, enlarged on the way to the finest.
void Fit::make_features(size_t level, const float* parameters) {
    Features& features = features_[level];
    const size_t count = features.sources.size();
    for (size_t f = 0; f < features.values.size(); ++f) {
        for (size_t wider = features.wider.size(); wider-- > 0;) {
            const Plane& sum = wider == 0 ? features.values[f] : features.wider[wider];
            if (wider + 1 == features.wider.size()) {
                clear(sum);
                for (size_t y = 0; y < sum.height; ++y) {
                    std::fill_n(sum.row(y), sum.width, parameters[features.at_bias + f]);
                }
            } else {
                loops_->enlarge(features.wider[wider + 1], sum);
            }
            for (size_t i = 0; i < count; ++i) {
                const Grid& source = grids_[features.sources[i]];
                if (source.level != level + 1 + wider) continue;
                loops_->combine(source.values, parameters[features.at_weights + f * count + i], sum);
            }
        }
    }
}

void Fit::features_back(size_t level, const float* parameters, float* gradients) {
    Features& features = features_[level];
    const size_t count = features.sources.size();
    for (size_t f = 0; f < features.values.size(); ++f) {
        const Plane* sum = &features.gradients[f];
        for (size_t wider = 0; wider < features.wider.size(); ++wider) {
            if (wider > 0) {
                loops_->pool(*sum, features.wider[wider]);
                sum = &features.wider[wider];
            }
            for (size_t i = 0; i < count; ++i) {
                Grid& source = grids_[features.sources[i]];
                if (source.level != level + 1 + wider) continue;
                const size_t at = features.at_weights + f * count + i;
                gradients[at] += static_cast<float>(
                    loops_->combine_back(source.values, source.gradient, parameters[at], *sum));
            }
        }
        double bias = 0.0;
        for (size_t y = 0; y < sum->height; ++y) {
            for (size_t x = 0; x < sum->width; ++x) bias += sum->row(y)[x];
        }
        gradients[features.at_bias + f] += static_cast<float>(bias);
    }
}

double Fit::rate(const float* parameters, float rate_weight, bool gradients) {
    const size_t n = shape_.inputs();
    double nats = 0.0;
    std::copy_n(parameters + find("context.1.weight"), n * n, w1_.begin());
    std::copy_n(parameters + find("context.2.weight"), n * n, w2_.begin());
    for (size_t i = 0; i < n; ++i) {
        w1_[i * n + i] += 1.0f;
        w2_[i * n + i] += 1.0f;
    }
    const double pixels = static_cast<double>(shape_.height * shape_.width);
    for (Grid& grid : grids_) {
        const bool looks = !grid.hyper && grid.level < features_.size() && !features_[grid.level].values.empty();
        if (looks) {
            make_features(grid.level, parameters);
            if (gradients) {
                for (const Plane& plane : features_[grid.level].gradients) clear(plane);
            }
        }
        ContextJob job{};
        job.values = grid.values;
        job.gradient = grid.gradient;
        job.features = looks ? features_[grid.level].values.data() : nullptr;
        job.feature_gradients = looks ? features_[grid.level].gradients.data() : nullptr;
        job.spatial = shape_.places.size();
        job.feature_count = shape_.features;
        job.offsets = grid.offsets.data();
        job.w1 = w1_.data();
        job.w2 = w2_.data();
        job.network = {parameters, sums_.data()};
        job.at_w1 = find("context.1.weight");
        job.at_b1 = find("context.1.bias");
        job.at_w2 = find("context.2.weight");
        job.at_b2 = find("context.2.bias");
        job.at_w3 = find("context.3.weight");
        job.at_b3 = find("context.3.bias");
        job.at_u = find("context.beside.weight");
        job.gain = static_cast<float>(rate_weight / kLn2 / pixels);
        nats += loops_->context(job, 0, grid.values.height, gradients);
    }
    return nats / kLn2;
}

void Fit::make_pyramid(const float* parameters) {
    for (size_t level = shape_.levels - 1; level-- > 0;) {
        const Plane& own = grids_[latent_grid(level)].values;
        const float* up = parameters + tap_row("upsampling.smooth", level);
        const float* taps = parameters + tap_row("upsampling.own", level);
        loops_->filter(own, taps, middles_[level], planes_[level][0]);
        for (size_t i = 1; i < planes_[level].size(); ++i) {
            loops_->upsample(planes_[level + 1][i - 1], up, planes_[level][i]);
        }
    }
}

void Fit::pyramid_back(const float* parameters, float* gradients) {
    for (size_t level = 0; level + 1 < shape_.levels; ++level) {
        const Grid& own = grids_[latent_grid(level)];
        const size_t up = tap_row("upsampling.smooth", level), taps = tap_row("upsampling.own", level);
        double up_gradients[4] = {}, tap_gradients[4] = {};
        loops_->filter_back(own.values, own.gradient, parameters + taps, middles_[level], plane_gradients_[level][0],
                            spares_[level], tap_gradients);
        for (size_t i = 1; i < planes_[level].size(); ++i) {
            if (level + 2 < shape_.levels) clear(plane_gradients_[level + 1][i - 1]);
            loops_->upsample_back(planes_[level + 1][i - 1], plane_gradients_[level + 1][i - 1], parameters + up,
                                  plane_gradients_[level][i], up_gradients);
        }
        for (size_t k = 0; k < 4; ++k) {
            gradients[up + k] += static_cast<float>(up_gradients[k]);
            gradients[taps + k] += static_cast<float>(tap_gradients[k]);
        }
    }
}

SynthesisJob Fit::synthesis(const float* parameters) {
    SynthesisJob job{};
    job.inputs = planes_[0].data();
    job.gradients = plane_gradients_[0].data();
    job.planes = shape_.levels;
    job.hidden = shape_.hidden;
    job.channels = shape_.channels;
    job.two_windows = shape_.windows > 1;
    job.network = {parameters, sums_.data()};
    job.at_a = find("synthesis.1.weight");
    job.at_a0 = find("synthesis.1.bias");
    job.at_b = find("synthesis.2.weight");
    job.at_b0 = find("synthesis.2.bias");
    job.at_d1 = shape_.windows > 1 ? find("synthesis.3.weight") : 0;
    job.at_d10 = shape_.windows > 1 ? find("synthesis.3.bias") : 0;
    job.at_d2 = find("synthesis.4.weight");
    job.at_d20 = find("synthesis.4.bias");
    job.at_e = find("synthesis.beside.weight");
    job.t1 = t1_.data();
    job.t2 = t2_.data();
    job.out = out_.data();
    job.spare = spare_.data();
    job.pixels = pixels_.data();
    job.gain = 1.0f / static_cast<float>(shape_.height * shape_.width * shape_.channels);
    return job;
}

Answer Fit::pass(const float* parameters, const Rounding& rounding, float rate_weight, float* gradients) {
    Answer answer{};
    quantise(rounding);
    if (gradients) {
        std::fill(sums_.begin(), sums_.end(), 0.0f);
        std::fill_n(gradients, parameters_, 0.0f);
        for (Grid& grid : grids_) clear(grid.gradient);
    }
    make_pyramid(parameters);
    const SynthesisJob job = synthesis(parameters);
    answer.error = loops_->synthesise(job) * static_cast<double>(job.gain);
    if (gradients) {
        loops_->synthesise_back(job);  // sets gradients of planes, one of them a grid where there is one level
        pyramid_back(parameters, gradients);
    }
    answer.bits = rate(parameters, rate_weight, gradients != nullptr);
    if (!gradients) return answer;

    for (size_t level = 0; level < features_.size(); ++level) features_back(level, parameters, gradients);
    for (size_t i = 0; i < parameters_; ++i) {
        float total = 0.0f;
        for (size_t lane = 0; lane < kWidest; ++lane) total += sums_[i * kWidest + lane];
        gradients[i] += total;
    }
    return answer;
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

void Fit::step_latents(const AdamStep& step) {
    for (Grid& grid : grids_) {
        const size_t width = grid.values.width;
        for (size_t y = 0; y < grid.values.height; ++y) {
            const size_t at = y * width;
            loops_->adam(grid.latents.data() + at, grid.gradient.row(y), grid.slopes.data() + at, grid.first.data() + at,
                         grid.second.data() + at, width, step);
        }
    }
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
