#include <algorithm>
#include <cmath>
#include <string>

#include "coder.hpp"

namespace tessera {
namespace {

void check_indices(const Tables& tables, const uint8_t* indices, size_t n) {
    const int32_t largest = largest_index(indices, n);
    if (largest >= static_cast<int32_t>(tables.count())) {
        throw std::invalid_argument("index " + std::to_string(largest) + " has no table: there are " +
                                    std::to_string(tables.count()));
    }
}

void append_length(std::vector<uint8_t>& stream, size_t length) {
    for (; length >= 0x80; length >>= 7) stream.push_back(static_cast<uint8_t>(length | 0x80));
    stream.push_back(static_cast<uint8_t>(length));
}

void append_number(std::vector<uint8_t>& stream, uint32_t number, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) stream.push_back(static_cast<uint8_t>(number >> 8 * i));
}

void append_words(std::vector<uint8_t>& stream, const uint16_t* first, const uint16_t* end) {
    const size_t words = static_cast<size_t>(end - first);
    const size_t before = stream.size();
    stream.resize(before + 2 * words);
    uint8_t* to = stream.data() + before;
    for (size_t i = 0; i < words; ++i) {
        to[2 * i] = static_cast<uint8_t>(first[i]);
        to[2 * i + 1] = static_cast<uint8_t>(first[i] >> 8);
    }
}

unsigned bytes_needed(uint32_t number) {
    unsigned bytes = 0;
    for (; number != 0; number >>= 8) ++bytes;
    return bytes;
}

}  // namespace

int32_t largest_index(const uint8_t* indices, size_t n) {
    uint8_t largest = 0;
    for (size_t i = 0; i < n; ++i) largest = std::max(largest, indices[i]);
    return n == 0 ? -1 : largest;
}

Encoder::Encoder(std::shared_ptr<const Tables> tables, const Kernels& kernels, unsigned lanes)
    : tables_(std::move(tables)), kernels_(&kernels), lanes_(lanes) {
    if (lanes > kMaxLanes || (lanes & (lanes - 1)) != 0) {
        throw std::invalid_argument("lanes must be a power of two in 1..64, not " + std::to_string(lanes));
    }
}

void Encoder::put(const int32_t* symbols, const uint8_t* indices, size_t n) {
    check_indices(*tables_, indices, n);
    calls_.push_back(n);
    uint32_t* entries = entries_.extend(n);
    for (size_t first = 0; first < n; first += kBlock) {
        const size_t count = std::min(kBlock, n - first);
        uint16_t escapes[kBlock];
        const Resolved block =
            kernels_->resolve(*tables_, symbols + first, indices + first, count, entries + first, escapes);
        cost_ += block.cost;
        for (size_t i = 0; i < block.escapes; ++i) {
            const size_t place = first + escapes[i];
            const Rest rest = tables_->rest(indices[place], symbols[place]);
            bypass_.put(rest.above, 1);
            bypass_.put_golomb(rest.distance);
        }
    }
}

unsigned Encoder::choose_lanes() const {
    if (lanes_ != 0) return lanes_;
    const uint64_t bytes = cost_ >> (kPrecision + 3);
    unsigned lanes = 1;
    while (lanes < kMaxLanes && bytes >= uint64_t{lanes} * 2 * kLaneBytes) lanes *= 2;
    return lanes;
}

uint16_t* Encoder::encode_calls(uint32_t* states, unsigned lanes, uint16_t* out) const {
    const uint32_t* end = entries_.data() + entries_.size();
    for (size_t call = calls_.size(); call-- > 0;) {
        const uint32_t* entries = end - calls_[call];
        const size_t steps = calls_[call] / lanes;
        const auto rest = static_cast<unsigned>(calls_[call] % lanes);
        for (unsigned lane = rest; lane-- > 0;) encode_one(states[lane], entries[steps * lanes + lane], out);
        out = kernels_->encode(states, lanes, entries, steps, out);
        end = entries;
    }
    return out;
}

std::vector<uint8_t> Encoder::finish() {
    const unsigned lanes = choose_lanes();
    uint32_t states[kMaxLanes];
    std::fill_n(states, lanes, kLowest);
    Buffer<uint16_t> words;  // a symbol writes one word at most
    uint16_t* const end = words.extend(kWritePadding + entries_.size()) + words.size();
    const uint16_t* const first = encode_calls(states, lanes, end);
    const std::vector<uint8_t>& bypass = bypass_.bytes();

    const unsigned state_bytes = lanes == 1 ? bytes_needed(states[0] - kLowest) : 0;
    std::vector<uint8_t> stream;
    stream.reserve(16 + 4 * lanes + 2 * static_cast<size_t>(end - first) + bypass.size());
    stream.push_back(static_cast<uint8_t>(log2_floor(lanes) | (bypass.empty() ? 0 : 8) | state_bytes << 4));
    if (!bypass.empty()) append_length(stream, bypass.size());
    if (lanes == 1) append_number(stream, states[0] - kLowest, state_bytes);
    for (unsigned lane = 0; lanes > 1 && lane < lanes; ++lane) append_number(stream, states[lane], 4);
    append_words(stream, first, end);
    stream.insert(stream.end(), bypass.begin(), bypass.end());

    entries_.clear();
    calls_.clear();
    bypass_.clear();
    cost_ = 0;
    return stream;
}

void symbol_bits(const Tables& tables, const int32_t* symbols, const uint8_t* indices, size_t n, float* out) {
    static const std::vector<float> cost = [] {
        std::vector<float> table(kTotal);
        for (uint32_t f = 1; f < kTotal; ++f) table[f] = static_cast<float>(kPrecision - std::log2(double{1} * f));
        return table;
    }();
    check_indices(tables, indices, n);
    const Kernels& kernels = dispatch().find(nullptr);
    uint32_t entries[256];
    uint16_t escapes[256];
    for (size_t first = 0; first < n; first += 256) {
        const size_t count = std::min<size_t>(256, n - first);
        kernels.resolve(tables, symbols + first, indices + first, count, entries, escapes);
        for (size_t i = 0; i < count; ++i) {
            float bits = cost[entries[i] >> 20];
            if (entries[i] & kEscapeFlag) {
                const Rest rest = tables.rest(indices[first + i], symbols[first + i]);
                bits += static_cast<float>(2 + 2 * log2_floor(uint64_t{rest.distance} + 1));
            }
            out[first + i] = bits;
        }
    }
}

}  // namespace tessera
