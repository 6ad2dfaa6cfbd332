// How a fit lies in memory: grids, planes, and parameters one after another.
#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "fit_parts.hpp"

namespace tessera {
namespace fit {

Rows rows_of(size_t height, size_t part, size_t parts) {
    const size_t units = (height + kPartRows - 1) / kPartRows, count = std::min(parts, units);
    if (part >= count) return {0, 0};
    return {units * part / count * kPartRows, std::min(height, units * (part + 1) / count * kPartRows)};
}

void clear(const Plane& plane) {
    const size_t rows = plane.height + 2 * kMarginRows;
    float* start = plane.row(-static_cast<ptrdiff_t>(kMarginRows)) - kMargin;
    std::memset(start, 0, rows * plane.stride * sizeof(float));
}

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
            for (const Place& place : shape_.places) {
                grid.offsets.push_back(place.dy * static_cast<ptrdiff_t>(grid.values.stride) + place.dx);
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
    const size_t n = shape_.inputs(), c = shape_.channels, last = shape_.levels - 1;
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
    parts_ = std::min(kMostParts, (shape_.height + kPartRows - 1) / kPartRows);
    sums_.assign(parts_, std::vector<float>(parameters_ * kWidest, 0.0f));
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
        lines_.emplace_back(4 * (shape_.width + 2 * kMargin));
    }
    for (size_t level = 0; level < features_.size(); ++level) {
        Features& features = features_[level];
        for (size_t i = 0; i < shape_.features; ++i) {
            std::vector<Plane> wider;
            for (size_t above = level + 1; above <= last; ++above) {
                wider.push_back(make_plane(side(shape_.height, above), side(shape_.width, above)));
            }
            features.values.push_back(wider[0]);
            features.gradients.push_back(make_plane(wider[0].height, wider[0].width));
            features.wider.push_back(std::move(wider));
        }
    }
    for (std::vector<Plane>* planes : {&t1_, &t2_, &out_, &spare_}) {
        for (size_t c = 0; c < shape_.channels; ++c) planes->push_back(make_plane(shape_.height, shape_.width));
    }
}

}  // namespace fit
}  // namespace tessera
