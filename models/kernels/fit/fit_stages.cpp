// The stages of a pass: what is fixed here, whatever the threads, is which rows are a part and in which order parts are
// added up.
#include <algorithm>
#include <cstring>

#include "fit_parts.hpp"

namespace tessera {
namespace fit {
namespace {

constexpr double kLn2 = 0.69314718055994531;

}  // namespace

// -- features ----------------------------------------------------------------------------------------------------------------

// Sums of coarser grids at each one's own sides, enlarged on the way to the finest.
void Fit::make_features(size_t level, size_t feature, const float* parameters) {
    Features& features = features_[level];
    const std::vector<Plane>& sums = features.wider[feature];
    const size_t count = features.sources.size();
    for (size_t wider = sums.size(); wider-- > 0;) {
        const Plane& sum = sums[wider];
        if (wider + 1 == sums.size()) {
            clear(sum);
            for (size_t y = 0; y < sum.height; ++y) {
                std::fill_n(sum.row(y), sum.width, parameters[features.at_bias + feature]);
            }
        } else {
            loops_->enlarge(sums[wider + 1], sum);
        }
        for (size_t i = 0; i < count; ++i) {
            const Grid& source = grids_[features.sources[i]];
            if (source.level != level + 1 + wider) continue;
            loops_->combine(source.values, parameters[features.at_weights + feature * count + i], sum);
        }
    }
}

// The gradient of a feature at the sides of every coarser grid, and of its bias.
void Fit::pool_features(size_t level, size_t feature, float* gradients) {
    Features& features = features_[level];
    const std::vector<Plane>& sums = features.wider[feature];
    const Plane* sum = &features.gradients[feature];
    for (size_t wider = 1; wider < sums.size(); ++wider) {
        loops_->pool(*sum, sums[wider]);
        sum = &sums[wider];
    }
    double bias = 0.0;
    for (size_t y = 0; y < sum->height; ++y) {
        for (size_t x = 0; x < sum->width; ++x) bias += sum->row(y)[x];
    }
    gradients[features.at_bias + feature] += static_cast<float>(bias);
}

void Fit::features_back(size_t level, const float* parameters, float* gradients) {
    Features& features = features_[level];
    const size_t count = features.sources.size();
    for (size_t f = 0; f < features.values.size(); ++f) {
        for (size_t i = 0; i < count; ++i) {
            Grid& source = grids_[features.sources[i]];
            const size_t wider = source.level - level - 1, at = features.at_weights + f * count + i;
            const Plane& sum = wider == 0 ? features.gradients[f] : features.wider[f][wider];
            gradients[at] +=
                static_cast<float>(loops_->combine_back(source.values, source.gradient, parameters[at], sum));
        }
    }
}

// -- rate --------------------------------------------------------------------------------------------------------------------

ContextJob Fit::context(size_t grid, const float* parameters, float rate_weight) {
    const Grid& on = grids_[grid];
    const bool looks = !on.hyper && on.level < features_.size() && !features_[on.level].values.empty();
    ContextJob job{};
    job.values = on.values;
    job.gradient = on.gradient;
    job.features = looks ? features_[on.level].values.data() : nullptr;
    job.feature_gradients = looks ? features_[on.level].gradients.data() : nullptr;
    job.spatial = shape_.places.size();
    job.feature_count = shape_.features;
    job.offsets = on.offsets.data();
    job.w1 = w1_.data();
    job.w2 = w2_.data();
    job.network = {parameters, nullptr};
    job.at_w1 = find("context.1.weight");
    job.at_b1 = find("context.1.bias");
    job.at_w2 = find("context.2.weight");
    job.at_b2 = find("context.2.bias");
    job.at_w3 = find("context.3.weight");
    job.at_b3 = find("context.3.bias");
    job.at_u = find("context.beside.weight");
    job.gain = static_cast<float>(rate_weight / kLn2 / static_cast<double>(shape_.height * shape_.width));
    return job;
}

double Fit::rate(const float* parameters, float rate_weight, float* gradients, size_t threads) {
    const size_t n = shape_.inputs();
    std::copy_n(parameters + find("context.1.weight"), n * n, w1_.begin());
    std::copy_n(parameters + find("context.2.weight"), n * n, w2_.begin());
    for (size_t i = 0; i < n; ++i) {
        w1_[i * n + i] += 1.0f;
        w2_[i * n + i] += 1.0f;
    }
    for (size_t level = 0; level < features_.size(); ++level) {
        in_each(shape_.features, threads, [&](size_t feature) {
            make_features(level, feature, parameters);
            if (gradients) clear(features_[level].gradients[feature]);
        });
    }
    std::vector<ContextJob> jobs;
    for (size_t grid = 0; grid < grids_.size(); ++grid) jobs.push_back(context(grid, parameters, rate_weight));
    std::vector<double> nats(parts_, 0.0);
    for (const size_t parity : {0, 1}) {  // a context's gradients reach into the part above, so neighbours take turns
        in_each((parts_ + 1 - parity) / 2, threads, [&](size_t number) {
            const size_t part = 2 * number + parity;
            for (ContextJob job : jobs) {
                const Rows rows = rows_of(job.values.height, part, parts_);
                job.network.sums = sums_[part].data();
                nats[part] += loops_->context(job, rows.first, rows.last, gradients != nullptr);
            }
        });
    }
    if (gradients) {
        for (size_t level = 0; level < features_.size(); ++level) {
            in_each(shape_.features, threads, [&](size_t feature) { pool_features(level, feature, gradients); });
            features_back(level, parameters, gradients);
        }
    }
    double total = 0.0;
    for (double part : nats) total += part;
    return total / kLn2;
}

// -- planes ------------------------------------------------------------------------------------------------------------------

// Plane i of level l comes from plane i - 1 of level l + 1, so each grid has a chain of its own.
void Fit::make_pyramid(const float* parameters, size_t threads) {
    in_each(shape_.levels, threads, [&](size_t from) {
        if (from + 1 < shape_.levels) {
            const float* taps = parameters + tap_row("upsampling.own", from);
            loops_->filter(grids_[latent_grid(from)].values, taps, middles_[from], planes_[from][0]);
        }
        for (size_t level = from; level-- > 0;) {
            const float* taps = parameters + tap_row("upsampling.smooth", level);
            const size_t plane = from - level;
            loops_->upsample(planes_[level + 1][plane - 1], taps, planes_[level][plane], lines(from));
        }
    });
}

void Fit::pyramid_back(const float* parameters, float* gradients, size_t threads) {
    struct Taps {
        double up[kMostPlanes][4] = {}, own[4] = {};
    };
    std::vector<Taps> found(shape_.levels);
    in_each(shape_.levels, threads, [&](size_t from) {
        for (size_t level = 0; level < from; ++level) {
            const size_t plane = from - level;
            const Plane& below = plane_gradients_[level + 1][plane - 1];
            if (level + 2 < shape_.levels) clear(below);  // else that of a grid
            loops_->upsample_back(planes_[level + 1][plane - 1], below, parameters + tap_row("upsampling.smooth", level),
                                  plane_gradients_[level][plane], found[from].up[level], lines(from));
        }
        if (from + 1 == shape_.levels) return;
        const Grid& own = grids_[latent_grid(from)];
        loops_->filter_back(own.values, own.gradient, parameters + tap_row("upsampling.own", from), middles_[from],
                            plane_gradients_[from][0], spares_[from], found[from].own);
    });
    for (size_t level = 0; level + 1 < shape_.levels; ++level) {
        const size_t up = tap_row("upsampling.smooth", level), own = tap_row("upsampling.own", level);
        for (size_t k = 0; k < 4; ++k) {
            double total = 0.0;
            for (const Taps& taps : found) total += taps.up[level][k];
            gradients[up + k] += static_cast<float>(total);
            gradients[own + k] += static_cast<float>(found[level].own[k]);
        }
    }
}

// -- pixels ------------------------------------------------------------------------------------------------------------------

SynthesisJob Fit::synthesis(const float* parameters) {
    SynthesisJob job{};
    job.inputs = planes_[0].data();
    job.gradients = plane_gradients_[0].data();
    job.planes = shape_.levels;
    job.hidden = shape_.hidden;
    job.channels = shape_.channels;
    job.two_windows = shape_.windows > 1;
    job.network = {parameters, nullptr};
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

double Fit::synthesise(const SynthesisJob& job, size_t threads) {
    std::vector<double> errors(parts_, 0.0);
    in_rows(threads, [&](size_t, Rows rows) { loops_->trunk(job, rows.first, rows.last); });
    if (job.two_windows) {
        in_rows(threads, [&](size_t, Rows rows) { loops_->window(job, rows.first, rows.last); });
    }
    in_rows(threads, [&](size_t part, Rows rows) { errors[part] = loops_->errors(job, rows.first, rows.last); });
    double total = 0.0;
    for (double part : errors) total += part;
    return total;
}

void Fit::synthesise_back(const SynthesisJob& job, size_t threads) {
    const auto stage = [&](void (*work)(const SynthesisJob&, size_t, size_t)) {
        in_rows(threads, [&](size_t part, Rows rows) {
            SynthesisJob mine = job;
            mine.network.sums = sums_[part].data();
            work(mine, rows.first, rows.last);
        });
    };
    stage(loops_->errors_back);
    if (job.two_windows) stage(loops_->window_back);
    stage(loops_->trunk_back);
}

}  // namespace fit
}  // namespace tessera
