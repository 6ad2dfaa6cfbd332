#include "fit.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace tessera {
namespace fit {
namespace {

// Nearest first: (rows up, columns to the right).
constexpr int kOffsets[][2] = {{0, -1},  {-1, 0}, {-1, -1}, {-1, 1}, {0, -2},  {-2, 0}, {-3, 0},
                               {0, -3}, {-1, -2}, {-2, 1},  {-2, -1}, {-1, 2}, {-2, -2}, {-1, -3}};
constexpr size_t kMostSpatial = sizeof kOffsets / sizeof *kOffsets;
constexpr size_t kNoise = size_t{1} << 18;
constexpr double kLn2 = 0.69314718055994531;

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
                      shape.spatial >= 1 && shape.spatial <= kMostSpatial && shape.features <= kMostFeatures &&
                      shape.spatial + shape.features <= kMostInputs && shape.hidden >= 1 && shape.hidden <= kMostHidden;
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

// -- memory --------------------------------------------------------------------------------------------------------------

Plane Fit::make_plane(size_t height, size_t width) {
    const size_t stride = 2 * kMargin + (width + kBlock - 1) / kBlock * kBlock;
    const size_t rows = height + 2 * kMarginRows;
    memory_.emplace_back(new float[rows * stride + kBlock]());
    return {memory_.back().get() + kMarginRows * stride + kMargin, height, width, stride};
}

void Fit::make_grids() {
    for (size_t level = shape_.levels; level-- > 0;) {
        for (const bool hyper : {true, false}) {
            if (hyper && level < kFirstHyper) continue;
            Grid grid{};
            grid.level = level;
            grid.hyper = hyper;
            const size_t height = side(shape_.height, level), width = side(shape_.width, level);
            grid.values = make_plane(height, width);
            grid.gradient = make_plane(height, width);
            grid.latents.assign(height * width, 0.0f);
            grid.slopes.assign(height * width, 0.0f);
            grid.first.assign(height * width, 0.0f);
            grid.second.assign(height * width, 0.0f);
            for (size_t i = 0; i < shape_.spatial; ++i) {
                grid.offsets.push_back(kOffsets[i][0] * static_cast<ptrdiff_t>(grid.values.stride) + kOffsets[i][1]);
            }
            grids_.push_back(std::move(grid));
        }
    }
}

size_t Fit::latent_grid(size_t level) const {
    for (size_t i = 0; i < grids_.size(); ++i) {
        if (grids_[i].level == level && !grids_[i].hyper) return i;
    }
    throw std::logic_error("every level has a grid");
}

size_t Fit::add(const std::string& name, std::vector<size_t> shape) {
    const size_t at = parameters_;
    size_t count = 1;
    for (size_t n : shape) count *= n;
    tensors_.push_back({name, at, std::move(shape)});
    parameters_ += count;
    return at;
}

size_t Fit::find(const std::string& name) const {
    for (const Tensor& tensor : tensors_) {
        if (tensor.name == name) return tensor.at;
    }
    throw std::logic_error("no tensor " + name);
}

// Rows are from coarse to fine.
size_t Fit::tap_row(const std::string& name, size_t level) const { return find(name) + (shape_.levels - 2 - level) * 4; }

void Fit::lay_out() {
    const size_t n = shape_.spatial + shape_.features, c = shape_.channels, last = shape_.levels - 1;
    const auto layer = [this](const std::string& name, std::vector<size_t> shape) {
        const size_t outputs = shape[0];
        add(name + ".weight", std::move(shape));
        add(name + ".bias", {outputs});
    };
    layer("context.1", {n, n});
    layer("context.2", {n, n});
    layer("context.3", {2, n});
    add("context.beside.weight", {2, n});
    features_.resize(std::min(kFeatureLevels, last));
    for (size_t level = features_.size(); level-- > 0;) {
        Features& features = features_[level];
        for (size_t i = grids_.size(); i-- > 0;) {
            if (grids_[i].level > level) features.sources.push_back(i);
        }
        const std::string name = "features." + std::to_string(level);
        layer(name, {shape_.features, features.sources.size()});
        features.at_weights = find(name + ".weight");
        features.at_bias = find(name + ".bias");
    }
    if (last > 0) {
        add("upsampling.smooth", {last, 4});
        add("upsampling.own", {last, 4});
    }
    layer("synthesis.1", {shape_.hidden, shape_.levels});
    layer("synthesis.2", {c, shape_.hidden});
    if (shape_.windows > 1) layer("synthesis.3", {c, c, 3, 3});
    layer("synthesis.4", {c, c, 3, 3});
    add("synthesis.beside.weight", {c, shape_.levels});
    sums_.assign(parameters_ * kWidest, 0.0f);
    w1_.resize(n * n);
    w2_.resize(n * n);
}

void Fit::make_planes() {
    const size_t last = shape_.levels - 1;
    for (size_t level = 0; level <= last; ++level) {
        const size_t height = side(shape_.height, level), width = side(shape_.width, level);
        std::vector<Plane> values, gradients;
        for (size_t i = 0; i < shape_.levels - level; ++i) {
            const Grid& own = grids_[latent_grid(level)];
            values.push_back(level == last ? own.values : make_plane(height, width));
            gradients.push_back(level == last ? own.gradient : make_plane(height, width));
        }
        planes_.push_back(std::move(values));
        plane_gradients_.push_back(std::move(gradients));
        middles_.push_back(make_plane(height, width));
        spares_.push_back(make_plane(height, width));
    }
    for (size_t level = 0; level < features_.size(); ++level) {
        Features& features = features_[level];
        for (size_t i = 0; i < shape_.features && level < last; ++i) {
            const size_t height = side(shape_.height, level + 1), width = side(shape_.width, level + 1);
            features.values.push_back(make_plane(height, width));
            features.gradients.push_back(make_plane(height, width));
        }
        for (size_t wider = level + 1; wider <= last; ++wider) {
            features.wider.push_back(make_plane(side(shape_.height, wider), side(shape_.width, wider)));
        }
    }
    for (std::vector<Plane>* planes : {&t1_, &t2_, &out_, &spare_}) {
        for (size_t c = 0; c < shape_.channels; ++c) planes->push_back(make_plane(shape_.height, shape_.width));
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

void Fit::rate(const float* parameters, float rate_weight, bool gradients, Answer& answer) {
    const size_t n = shape_.spatial + shape_.features;
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
        job.spatial = shape_.spatial;
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
        const double bits = loops_->context(job, 0, grid.values.height, gradients) / kLn2;
        answer.grid_bits.push_back(bits);
        answer.bits += bits;
    }
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
    rate(parameters, rate_weight, gradients != nullptr, answer);
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
