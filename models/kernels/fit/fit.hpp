// A picture as grids of latents and three small networks: what one pass says of them, and a step of the latents.
//
// The model is that of family `overfitted` (codec/FORMAT.md) in floats, with rounding softened (Agustsson and Theis, 2020;
// Kim et al., "C3", 2024). Its units while fitting: pixels in 0..1, latents in 1/kGain of a step, so that one rate of
// learning suits latents and networks. Twin: tests/models/overfitted/twin.py, in PyTorch, whose gradients these are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fit_loops.hpp"

namespace tessera {
namespace fit {

constexpr float kGain = 16.0f;
constexpr size_t kFirstHyper = 4;     // level from which grids come in pairs
constexpr size_t kFeatureLevels = 3;  // finest levels, whose contexts look at coarser grids

// Rows and columns from a cell to one that its context looks at.
struct Place {
    int dy, dx;
};

struct Shape {
    size_t height, width, channels;
    size_t levels;
    std::vector<Place> places;  // of the grid's own values that a context looks at
    size_t features, hidden;
    size_t windows;  // layers of 3 x 3: 1 or 2

    size_t inputs() const { return places.size() + features; }
};

struct Tensor {
    std::string name;
    size_t at;
    std::vector<size_t> shape;
};

// How a pass rounds: to the nearest where the temperature is 0.
struct Rounding {
    float temperature, deviation;
};

struct Answer {
    double error;  // mean squared, pixels in 0..1
    double bits;
};

constexpr size_t kMostParts = 16;
constexpr size_t kPartRows = 8;  // that stay together: more than a context reaches up, and whole rows of features

// Rows first .. last - 1.
struct Rows {
    size_t first, last;
};

// Rows of one of `parts` parts of a plane. Planes with few rows have fewer parts; those beyond are empty.
Rows rows_of(size_t height, size_t part, size_t parts);

class Fit {
public:
    // Throws std::invalid_argument for shapes that the loops do not take.
    Fit(const uint8_t* pixels, const Shape& shape, uint64_t seed, const FitLoops& loops);

    const Shape& shape() const { return shape_; }
    const std::vector<Tensor>& tensors() const { return tensors_; }
    size_t parameters() const { return parameters_; }

    // Grids in the order of coding: from coarse to fine, hyper grids before the latents of their level.
    size_t grids() const { return grids_.size(); }
    size_t level(size_t grid) const { return grids_[grid].level; }
    bool hyper(size_t grid) const { return grids_[grid].hyper; }
    size_t height(size_t grid) const { return grids_[grid].values.height; }
    size_t width(size_t grid) const { return grids_[grid].values.width; }
    float* latents(size_t grid) { return grids_[grid].latents.data(); }  // (height, width), in 1/kGain of a step

    // Error and rate; with `gradients` (parameters()) also those of error + rate_weight * bits per pixel, and for the
    // latents, which `step_latents` then uses. The parts of the work and the order of their sums follow from the shape
    // alone, so answers do not depend on `threads`.
    Answer pass(const float* parameters, const Rounding& rounding, float rate_weight, float* gradients, size_t threads);

    // Of the last pass with gradients: of the loss by each latent, (height, width), as `step_latents` sees it.
    std::vector<std::vector<float>> gradient(size_t grid) const;

    void step_latents(const AdamStep& step, size_t threads);
    void forget_steps();

private:
    struct Grid {
        size_t level;
        bool hyper;
        Plane values, gradient;
        std::vector<float> latents, slopes, first, second;
        std::vector<ptrdiff_t> offsets;
    };
    struct Features {  // what contexts of one level read of coarser grids
        std::vector<Plane> values, gradients;      // (features), at the sides of the next level
        std::vector<std::vector<Plane>> wider;     // of each, from the next level to the last: sums on their way
        std::vector<size_t> sources;               // grids, from fine to coarse
        size_t at_weights, at_bias;
    };

    Plane make_plane(size_t height, size_t width);
    size_t add(const std::string& name, std::vector<size_t> shape);
    size_t find(const std::string& name) const;
    size_t tap_row(const std::string& name, size_t level) const;
    size_t side(size_t whole, size_t level) const { return (whole + (size_t{1} << level) - 1) >> level; }
    size_t latent_grid(size_t level) const;
    void lay_out();
    void make_grids();
    void make_planes();

    template <typename Work>
    void in_rows(size_t threads, const Work& work) const;
    float* lines(size_t level) { return lines_[level].data(); }

    void quantise(const Rounding& rounding, size_t threads);
    void make_features(size_t level, size_t feature, const float* parameters);
    void pool_features(size_t level, size_t feature, float* gradients);
    void features_back(size_t level, const float* parameters, float* gradients);
    ContextJob context(size_t grid, const float* parameters, float rate_weight);
    double rate(const float* parameters, float rate_weight, float* gradients, size_t threads);
    void make_pyramid(const float* parameters, size_t threads);
    void pyramid_back(const float* parameters, float* gradients, size_t threads);
    SynthesisJob synthesis(const float* parameters);
    double synthesise(const SynthesisJob& job, size_t threads);
    void synthesise_back(const SynthesisJob& job, size_t threads);
    void add_sums(float* gradients);

    Shape shape_;
    const FitLoops* loops_;
    std::vector<uint8_t> pixels_;
    std::vector<std::unique_ptr<float[]>> memory_;
    std::vector<Tensor> tensors_;
    size_t parameters_ = 0, parts_;
    std::vector<Grid> grids_;
    std::vector<Features> features_;
    std::vector<std::vector<Plane>> planes_, plane_gradients_;  // of each level
    std::vector<Plane> middles_, spares_;                        // of each level's filter
    std::vector<Plane> t1_, t2_, out_, spare_;
    std::vector<std::vector<float>> sums_;   // of each part: of gradients, see Weights
    std::vector<std::vector<float>> lines_;  // of each level: see FitLoops::upsample
    std::vector<float> w1_, w2_, noise_;
    uint64_t state_;
};

}  // namespace fit
}  // namespace tessera
