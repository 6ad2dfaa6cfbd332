// Codes or reads a dyadic pyramid in one call: symbols go straight to or from a coder, and each level's low plane is
// made of what is coarser before the level is walked. Twin: tests/support/dyadic_twin.py; the calls of the coder and the
// integers are equal.
#pragma once

#include <vector>

#include "coder.hpp"
#include "dyadic.hpp"

namespace tessera {

struct DyadicPlan {
    size_t height, width;  // of the planes
    size_t channels;       // axes that are coded: 1 or 3
    std::vector<DyadicLevelPlan> levels;  // from coarse to fine
    std::vector<uint8_t> low_rungs;       // one per coded axis
    int64_t low_step;
    uint8_t first_sign, first_odd;  // numbers of the first table of signs, and of the odd quantiser, of the coder's

    // Throws std::invalid_argument when sizes do not fit.
    void check() const;
    // the low band is as large as the coarsest details
    size_t low_height() const { return levels.front().height; }
    size_t low_width() const { return levels.front().width; }
};

struct DyadicInputs {
    const SymbolPort* port;     // null: symbols that are put are dropped, and those that are got are zero
    bool keep;                  // the details of every level
    bool weigh;                 // what other rungs would cost
    const int32_t* costs;       // of magnitudes (kQuantisers, kRungs, kCostColumns), or null: bits are not counted
    const int32_t* sign_costs;  // (kSignTables, 2), in 1 / kCostUnit bits too
    size_t threads;
    const Kernels& kernels;
};

struct DyadicFrame {
    std::vector<Plane> details;               // half steps, from coarse to fine, (9, ., .), where they are kept
    std::vector<std::vector<int32_t>> spent;  // from coarse to fine, (., .) in 1 / kCostUnit bits, where counted
    std::vector<int64_t> weighed;             // (levels, most slices, kOffsets), coarse first: rates of values, if asked
    std::vector<int32_t> low;                 // (3, low_height, low_width): symbols
    Plane planes;                             // (3, height, width): what the symbols stand for, in the lifted domain
};

// Both throw Refused.
DyadicFrame read_dyadic(const DyadicPlan& plan, const DyadicInputs& inputs);

// details: one per level from coarse to fine, lifted; low: the coded axes, rounded; rates: of `Trellis`.
DyadicFrame code_dyadic(const DyadicPlan& plan, const DyadicInputs& inputs, const std::vector<const int32_t*>& details,
                        const int32_t* low, const int32_t* rates);

}  // namespace tessera
