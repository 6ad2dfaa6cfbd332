// The inner loops of pictures of family `overfitted`, once per instruction set. All give the same integers.
//
// Rows of numbers are rounded up to whole blocks of kFittedBlock; what lies behind a row's end is computed and counts for
// nothing, and holds numbers within the same bounds, so that no sum overflows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dispatch.hpp"

namespace tessera {

constexpr size_t kFittedBlock = 32;
constexpr size_t kStripRows = 16;
constexpr size_t kMostSpatial = 14, kMostFeatures = 6, kMostInputs = kMostSpatial + kMostFeatures;
constexpr size_t kScales = 48;               // tables of one mean
constexpr int32_t kClip15 = (1 << 15) - 1;  // of the context network
constexpr int32_t kClip17 = (1 << 17) - 1;  // of all else

constexpr size_t fitted_blocks(size_t n) { return (n + kFittedBlock - 1) / kFittedBlock * kFittedBlock; }

// Weights lie in pairs of inputs, 16 bits each, the first one low. Biases are in units of the sums, with half of what
// the shift cuts off.
struct ContextNetwork {
    size_t spatial, features;  // inputs
    ptrdiff_t places[kMostSpatial];  // where the spatial inputs of a step lie, from `at`
    int32_t first[kMostInputs * kMostInputs / 2], second[kMostInputs * kMostInputs / 2];
    int32_t third[kMostInputs], beside[kMostInputs];  // two outputs
    int32_t first_bias[kMostInputs], second_bias[kMostInputs], third_bias[2], beside_bias;
    int first_shift, second_shift, third_shift, beside_shift;
};

// What the network says of the kStripRows cells of a step: value = mean + sign * symbol.
struct Prediction {
    int32_t means[kStripRows], signs[kStripRows];
    uint8_t tables[kStripRows];
};

// A symmetric filter; `half` of what the shift cuts off.
struct FittedFilter {
    int32_t taps[4];
    int32_t half;
    int shift;
};

// A layer of 1 x 1 or 3 x 3 pixels.
struct PixelLayer {
    const int32_t *weights, *biases;
    int shift;
    size_t inputs, outputs;
};

struct FittedLoops {
    Path path;

    // at: where the step stands in the strip; features: (features, kStripRows).
    void (*predict)(const ContextNetwork& network, const int16_t* at, const int16_t* features, Prediction& out);

    // sums[i] += weight * x[i], i < n rounded up.
    void (*add_scaled)(const int32_t* x, int32_t weight, size_t n, int32_t* sums);

    // Twice as many numbers along a row: x has two numbers before x[0], and two behind the last, which are its ends
    // repeated. out: 2 n, n rounded up.
    void (*widen)(const FittedFilter& filter, const int32_t* x, size_t n, int32_t* out);

    // One row of twice as many: the even one of rows m-2 .. m+1, the odd one of rows m-1 .. m+2.
    void (*heighten)(const FittedFilter& filter, const int32_t* const* rows, bool odd, size_t n, int32_t* out);

    // Seven taps along a row: x has three numbers before x[0] and three behind the last, zeros.
    void (*filter_row)(const FittedFilter& filter, const int32_t* x, size_t n, int32_t* out);

    // out[i] = clip17(out[i] + seven taps down the rows).
    void (*filter_column)(const FittedFilter& filter, const int32_t* const* rows, size_t n, int32_t* out);

    // Rows of the planes, (inputs of `first`), to rows of layers 1 and 2, and of the layer beside them.
    void (*mix)(const PixelLayer& first, const PixelLayer& second, const PixelLayer& beside, const int32_t* const* x,
                size_t n, int32_t* const* u, int32_t* const* z);

    // out = clip(middle row + layer of 3 x 3, low, kClip17). rows: of channel c and row y at 3 c + y; each has a number
    // before its first and one behind its last.
    void (*window)(const PixelLayer& layer, const int32_t* const* rows, int32_t low, size_t n, int32_t* const* out);
};

const FittedLoops& scalar_fitted();
const FittedLoops& avx2_fitted();
const FittedLoops& avx512_vnni_fitted();

const Dispatch<FittedLoops>& fitted_dispatch();

}  // namespace tessera
