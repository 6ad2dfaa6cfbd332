// The loops of a fit, once per instruction set. Floats: sets may round otherwise.
//
// Planes lie with margins: a row is `stride` floats, the first kMargin of them before the picture, and what is beyond
// its end up to a whole block, and there are kMarginRows rows above and below. Pointers are to the first cell.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dispatch.hpp"

namespace tessera {
namespace fit {

constexpr size_t kBlock = 128;  // positions that are worked on at once
constexpr size_t kMargin = 16;
constexpr size_t kMarginRows = 4;
constexpr size_t kWidest = 16;  // floats of a vector, at most
constexpr size_t kLongest = size_t{1} << 15;  // row
constexpr size_t kMostInputs = 32, kMostHidden = 64, kMostFeatures = 8, kMostPlanes = 9, kMostChannels = 3;

struct Plane {
    float* cells;
    size_t height, width, stride;
    float* row(ptrdiff_t y) const { return cells + y * static_cast<ptrdiff_t>(stride); }
};

// Parameters and where gradients are summed up: of parameter i at sums[i * kWidest ..].
struct Weights {
    const float* values;
    float* sums;
};

// The context network over one grid.
struct ContextJob {
    Plane values, gradient;      // of the grid; what its cells' contexts say is added to `gradient`
    const Plane* features;       // (feature_count) at half the grid's sides; null: zeros
    const Plane* feature_gradients;
    size_t spatial, feature_count;
    const ptrdiff_t* offsets;    // (spatial), in floats
    const float* w1;             // W1 + 1, (n, n): the residual in the weights
    const float* w2;             // W2 + 1
    Weights network;
    size_t at_w1, at_b1, at_w2, at_b2, at_w3, at_b3, at_u;
    float gain;                  // of a nat in the loss
};

struct SynthesisJob {
    const Plane* inputs;             // (planes)
    const Plane* gradients;          // (planes), set
    size_t planes, hidden, channels;
    bool two_windows;                // whether there is D1
    Weights network;
    size_t at_a, at_a0, at_b, at_b0, at_d1, at_d10, at_d2, at_d20, at_e;
    const Plane* t1;                 // (channels) each: trunk before, between, after the residual layers
    const Plane* t2;
    const Plane* out;                // out, then its gradient
    const Plane* spare;
    const uint8_t* pixels;           // (height, width, channels)
    float gain;                      // of a squared error in the loss
};

struct AdamStep {
    float rate, beta1, beta2, correct1, correct2, epsilon;
};

struct FitLoops {
    Path path;

    // to = soft rounding of (soft rounding of x + noise), slope = its derivative; temperature 0 rounds, slope 0.
    void (*quantise)(const float* x, const float* noise, size_t n, float temperature, float deviation, float* to,
                     float* slope);
    // Rows first .. last - 1 of a grid: nats, and all gradients where `gradients` says so.
    double (*context)(const ContextJob& job, size_t first, size_t last, bool gradients);
    // to += weight * from
    void (*combine)(const Plane& from, float weight, const Plane& to);
    // Its gradient for `from`, added; returns the one for the weight.
    double (*combine_back)(const Plane& from, const Plane& from_gradient, float weight, const Plane& to_gradient);
    // Every cell of `from` becomes two by two cells.
    void (*enlarge)(const Plane& from, const Plane& to);
    // The sums of two by two cells.
    void (*pool)(const Plane& from, const Plane& to);
    // By two in both directions; 4 taps. Edges replicate. `lines` is room for four rows of `to` with margins.
    void (*upsample)(const Plane& from, const float* taps, const Plane& to, float* lines);
    void (*upsample_back)(const Plane& from, const Plane& from_gradient, const float* taps, const Plane& to_gradient,
                          double* tap_gradients, float* lines);
    // to = x + 7-tap filter of x in both directions; 4 taps. `middle` keeps the rows' answers.
    void (*filter)(const Plane& x, const float* taps, const Plane& middle, const Plane& to);
    // gradient += what that of `to` says; middle is overwritten.
    void (*filter_back)(const Plane& x, const Plane& gradient, const float* taps, const Plane& middle,
                        const Plane& to_gradient, const Plane& spare, double* tap_gradients);
    // The stages of synthesis, each for rows first .. last - 1; the one before must have all rows.
    void (*trunk)(const SynthesisJob& job, size_t first, size_t last);    // inputs -> t1, and beside it out
    void (*window)(const SynthesisJob& job, size_t first, size_t last);   // t1 -> t2, where there are two windows
    double (*errors)(const SynthesisJob& job, size_t first, size_t last);  // the last window; the sum of squared errors
    void (*errors_back)(const SynthesisJob& job, size_t first, size_t last);  // out -> spare
    void (*window_back)(const SynthesisJob& job, size_t first, size_t last);  // spare -> t2
    void (*trunk_back)(const SynthesisJob& job, size_t first, size_t last);   // t2, or spare of one window -> gradients
    // gradients times slopes; a step for each x.
    void (*adam)(float* x, const float* gradient, const float* slope, float* first, float* second, size_t n,
                 const AdamStep& step);
};

const FitLoops& scalar_fit();
#if TESSERA_X86
const FitLoops& avx2_fit();
const FitLoops& avx512_fit();
#endif

const Dispatch<FitLoops>& fit_dispatch();

}  // namespace fit
}  // namespace tessera
