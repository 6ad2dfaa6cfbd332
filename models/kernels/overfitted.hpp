// Pictures of family `overfitted` in integers: what a stream holds of one, its grids to and from a coder, and its pixels.
// codec/FORMAT.md, section 22, says what is computed; twins: models/reference/overfitted.py, and models/overfitted/shape.py
// for points, grids and tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory.hpp"
#include "overfitted_loops.hpp"
#include "port.hpp"

namespace tessera {

constexpr size_t kFittedLevels = 9;   // most levels
constexpr size_t kFeatureLevels = 3;  // grids of levels below have features
constexpr size_t kFirstHyper = 4;     // levels from here on have a hyper grid
constexpr int32_t kLargestValue = 2047;
constexpr int32_t kLargestWeight = 32767;
constexpr size_t kLag = 3;                                                       // columns between the rows of a step
constexpr int64_t kFittedSumLimit = (int64_t{1} << 31) - (int64_t{1} << 18);  // no sum of a layer reaches it

struct OperatingPoint {
    size_t spatial, features, width, windows;
    constexpr size_t inputs() const { return spatial + features; }
};
constexpr OperatingPoint kPoints[] = {{6, 2, 8, 1}, {10, 4, 16, 2}, {14, 6, 48, 2}};

// Spatial inputs: rows and columns from the cell. All lie in earlier steps.
constexpr int kPlaces[][2] = {{0, -1}, {-1, 0},  {-1, -1}, {-1, 1},  {0, -2}, {-2, 0},  {-3, 0},
                              {0, -3}, {-1, -2}, {-2, 1},  {-2, -1}, {-1, 2}, {-2, -2}, {-1, -3}};

struct GridShape {
    size_t level;
    bool hyper;
    size_t height, width;
    size_t cells() const { return height * width; }
};

// In the order of coding.
std::vector<GridShape> grid_shapes(size_t height, size_t width, size_t levels);

// Integers of a tensor, multiples of 2^-bits.
struct FittedTensor {
    std::vector<int32_t> values;
    int bits;
};

// A layer as its loops take it: biases in units of the sums, with half of what the shift cuts off.
struct FittedLayer {
    std::vector<int32_t> weights;  // (outputs, inputs)
    std::vector<int32_t> biases;
    int shift = 0;
};

// The networks of a picture.
class FittedNetworks {
public:
    // tensors: in the order of coding. Throws std::invalid_argument when one does not fit, or a sum may overflow.
    FittedNetworks(size_t point, size_t levels, size_t channels, const std::vector<FittedTensor>& tensors);

    const OperatingPoint& point() const { return point_; }
    size_t levels() const { return levels_; }
    size_t channels() const { return channels_; }

    ContextNetwork context;
    FittedLayer features[kFeatureLevels];  // without weights where a level has none
    std::vector<FittedFilter> smooth, own;  // of each level but the last
    FittedLayer first, second, beside, windows[2];

private:
    OperatingPoint point_;
    size_t levels_, channels_;
};

// The grids of a picture.
struct FittedGrids {
    FittedGrids(size_t height, size_t width, size_t levels);
    size_t find(size_t level, bool hyper) const;  // its number
    int16_t* grid(size_t number) const { return values.get() + first[number]; }

    std::vector<GridShape> shapes;
    std::vector<size_t> first;  // value of each grid; one more for the end
    Buffer<int16_t> values;
};

// What coding a picture's grids meant to its coder, cell by cell, grids one after another in raster order.
struct FittedTrace {
    std::vector<int32_t> symbols;
    std::vector<uint8_t> tables;
};

// Gets the grids. Throws Refused, and std::invalid_argument for a value that is out of its bounds.
void read_grids(const FittedNetworks& networks, FittedGrids& grids, const SymbolPort& port, FittedTrace* trace,
                const FittedLoops& loops);

// Puts them. port: null where only the trace is wanted. Throws Refused.
void put_grids(const FittedNetworks& networks, FittedGrids& grids, const SymbolPort* port, FittedTrace* trace,
               const FittedLoops& loops);

// pixels: (height, width, channels).
void paint_grids(const FittedNetworks& networks, const FittedGrids& grids, uint8_t* pixels, size_t threads,
                 const FittedLoops& loops);

}  // namespace tessera
