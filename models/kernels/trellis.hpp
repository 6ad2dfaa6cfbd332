// Trellis-coded quantisation of the values of a pass (Marcellin and Fischer, 1990; the dependent quantisation of VVC).
//
// Values stand for whole numbers of half steps. There are two quantisers: with the even one (0) a value v stands for 2v,
// with the odd one (1) for 2v - sign(v). Value i of a pass belongs to chain i mod chains. A chain has a state, 0 before
// its first value; the quantiser is state % 2, and the value's lowest bit leads to the next state, those of a code of
// Ungerboeck (1982). So any half step can be reached, as if steps were halved, while a quantiser alone has the alphabet
// of whole steps.
//
// Twin: tests/support/trellis_twin.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "constants.hpp"

namespace tessera {

constexpr size_t kQuantisers = 2;

// Chains of a pass: few, since each starts anew, but enough for vectors of a coder's lanes in long passes.
inline size_t chains_of(size_t count) {
    size_t chains = 1;
    while (chains < kMostChains && 2 * chains * kChainValues <= count) chains *= 2;
    return chains;
}

// Half steps of a value |v| <= kLargest.
inline int32_t half_steps(int32_t value, uint8_t quantiser) {
    const int32_t magnitude = value < 0 ? -value : value;
    const int32_t half = 2 * magnitude - (magnitude > 0 ? quantiser : 0);
    const int32_t within = half < kLargest ? half : kLargest;
    return value < 0 ? -within : within;
}

// The state after a value.
constexpr uint8_t next_state(uint8_t state, int32_t value) {
    return static_cast<uint8_t>(state >> 1 ^ (state % 2) * kStateFeedback ^ (value & 1) * kValueFeedback);
}

// The magnitude of the value that stands for so many half steps.
inline int32_t magnitude_of_half_steps(int32_t half) { return ((half < 0 ? -half : half) + 1) >> 1; }

// The quantisers (count,) of a pass of values.
void name_quantisers(const int32_t* values, size_t count, uint8_t* quantisers);

constexpr int32_t kLargestRate = 1 << 24;  // so that no sum of a search overflows

// Throws std::invalid_argument unless all rates of `Trellis` are in 0..kLargestRate.
void check_rates(const int32_t* rates);

// A distance of one half step counts as kHalfStep in a search; rates are in its square. A step of a quantiser is kPeriod.
constexpr int kPeriodBits = 7;
constexpr int32_t kPeriod = 1 << kPeriodBits, kHalfStep = kPeriod / 2;
constexpr int32_t kLargestDistance = 1 << 30;  // so |v| stays below 2^23
constexpr int32_t kZeroReach = 2;            // larger values are not tried as zero

// The states that lead to a state, by the lowest bit of the value.
struct Predecessors {
    uint8_t of[kTrellisStates][2];
    constexpr Predecessors() : of() {
        for (uint8_t state = 0; state < kTrellisStates; ++state) {
            for (int32_t bit = 0; bit < 2; ++bit) of[next_state(state, bit)][bit] = state;
        }
    }
};
constexpr Predecessors kPredecessors{};

struct DyadicLoops;

// An encoder's search for the values of all chains, by Viterbi's algorithm in integers: the same on every machine.
class Trellis {
public:
    // rates (kQuantisers, kRungs, kRateColumns): what |v| costs after the shift of wide rungs, the last column what is
    // larger, see `check_rates`. The array outlives this.
    Trellis(const int32_t* rates, const DyadicLoops& loops) : rates_(rates), loops_(loops) {}

    // Chooses values (count,) and their quantisers for distances from zero in units, 0..kLargestDistance.
    void choose(const int32_t* distances, const uint8_t* rungs, size_t count, int32_t* magnitudes, uint8_t* quantisers);

private:
    const int32_t* rates_;
    const DyadicLoops& loops_;
    std::vector<uint32_t> from_;
    std::vector<uint8_t> zeros_;
};

}  // namespace tessera
