#include "trellis.hpp"

#include <algorithm>
#include <stdexcept>

#include "dyadic_loops.hpp"

namespace tessera {
namespace {

constexpr int32_t kFar = 1 << 29;  // of states that nothing leads to

// The state that costs least, the first one of several.
size_t best_state(const int32_t (&metrics)[kTrellisStates][kMostChains], size_t chain) {
    size_t best = 0;
    for (size_t state = 1; state < kTrellisStates; ++state) {
        if (metrics[state][chain] < metrics[best][chain]) best = state;
    }
    return best;
}

}  // namespace

void name_quantisers(const int32_t* values, size_t count, uint8_t* quantisers) {
    const size_t chains = chains_of(count);
    uint8_t states[kMostChains] = {};
    for (size_t i = 0; i < count; ++i) {
        uint8_t& state = states[i % chains];
        quantisers[i] = state % kQuantisers;
        state = next_state(state, values[i]);
    }
}

void check_rates(const int32_t* rates) {
    for (size_t i = 0; i < kQuantisers * kRungs * kRateColumns; ++i) {
        if (rates[i] < 0 || rates[i] > kLargestRate) throw std::invalid_argument("a rate does not fit");
    }
}

void Trellis::choose(const int32_t* distances, const uint8_t* rungs, size_t count, int32_t* magnitudes,
                     uint8_t* quantisers) {
    const size_t chains = chains_of(count), room = count + kMostChains;
    if (from_.size() < room) {
        from_.resize(room);
        zeros_.resize(room);
    }
    int32_t metrics[kTrellisStates][kMostChains];
    for (auto& row : metrics) std::fill_n(row, kMostChains, kFar);
    std::fill_n(metrics[0], kMostChains, 0);
    size_t states[kMostChains];  // of each chain, after its last value, then before the values that are known
    int32_t line[kMostChains] = {};
    uint8_t named[kMostChains] = {}, zeros[kMostChains];
    uint32_t from[kMostChains];
    for (size_t first = 0; first < count; first += chains) {
        const size_t here = std::min(chains, count - first);
        for (size_t j = here; j < chains; ++j) states[j] = best_state(metrics, j);  // those that end before the others
        std::copy_n(distances + first, here, line);
        std::copy_n(rungs + first, here, named);
        loops_.search(rates_, line, named, metrics[0], from, zeros);
        std::copy_n(from, here, &from_[first]);
        std::copy_n(zeros, here, &zeros_[first]);
    }
    size_t here = count == 0 ? 0 : (count - 1) % chains + 1;  // of the last step
    for (size_t j = 0; j < here; ++j) states[j] = best_state(metrics, j);
    for (size_t end = count; end > 0; end -= here, here = chains) {
        for (size_t j = 0, i = end - here; j < here; ++j, ++i) {
            const size_t bit = from_[i] >> states[j] & 1;
            states[j] = kPredecessors.of[states[j]][bit];
            const int32_t q = static_cast<int32_t>(states[j] % kQuantisers);
            const int32_t low = (distances[i] + q * kHalfStep) >> kPeriodBits;
            const bool zero = bit == 0 && (zeros_[i] >> q & 1) != 0;
            magnitudes[i] = zero ? 0 : low + ((low ^ static_cast<int32_t>(bit)) & 1);
            quantisers[i] = static_cast<uint8_t>(q);
        }
    }
}

}  // namespace tessera
