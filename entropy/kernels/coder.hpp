// The coder: symbols to bytes and back. No Python, no tensors.
//
// STREAM (all integers little-endian)
//
//     byte 0        bits 0-2: log2 of the number of lanes, 0..6
//                   bit 3:    there is a bypass section
//                   bits 4-6: one lane: bytes of its state, 0..4; otherwise 0
//                   bit 7:    0
//     length        with a bypass section only: its bytes, unsigned LEB128, shortest form
//     states        one lane: state - 2^16 in as few bytes as it needs; otherwise 4 bytes per lane, lane 0 first
//     words         16 bits each, up to the bypass section: what the lanes shifted out, in reading order
//     bypass        bits of the escapes, first bit in bit 0 of the first byte, zeros up to a whole byte
//
// LANES. Symbol i of a call goes through lane i mod lanes; every call starts at lane 0. A lane is a range coder of the
// asymmetric kind (rANS) with a 32-bit state x >= 2^16. Coding a symbol of frequency f and start s:
//     if x >= f * 2^20: write the word x mod 2^16, x = x / 2^16
//     x = x / f * 4096 + x mod f + s
// The encoder runs backwards from x = 2^16 in every lane, so that the decoder reads forwards and must end there. With
// 2 <= sizes f is at most 4095, so f * 2^20 fits in 32 bits, and one word per symbol is enough.
//
// NUMBER OF LANES. Lanes are what vector instructions work on, and each costs 3 bytes: 16 bits for the state that it
// starts from, and 8 on average because its last state takes 32 bits whatever it holds. The encoder takes the largest
// power of two of at most 64 such that every lane has 4 KiB of payload (by an estimate in integers, see cost() in
// kernels_scalar.cpp), but at least one: 0.07 %. The decoder takes any number; all paths write the same bytes.
//
// ESCAPES. A value outside its table is coded as the table's last symbol; the bypass section then holds one bit (1:
// above the table, 0: below) and the distance to the nearest value that would have been outside, as an Exp-Golomb code:
// with d + 1 of k + 1 bits, k zeros, a one, the k low bits of d + 1, lowest first. Exact for every 32-bit value.
#pragma once

#include <memory>
#include <stdexcept>
#include <vector>

#include "bits.hpp"
#include "buffer.hpp"
#include "kernels.hpp"
#include "tables.hpp"

namespace tessera {

constexpr uint64_t kLaneBytes = 4096;  // payload of each lane

// The bytes are not a stream that the encoder writes for these calls.
struct CorruptStream : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Largest value in indices[0..n); -1 for n = 0.
int32_t largest_index(const uint8_t* indices, size_t n);

// Holds 4 bytes per symbol until finish(), which takes up to 2 bytes per symbol more.
class Encoder {
public:
    // lanes: a power of two up to 64 (otherwise std::invalid_argument), or 0 for the rule above.
    Encoder(std::shared_ptr<const Tables> tables, const Kernels& kernels, unsigned lanes = 0);

    // Throws std::invalid_argument when an index has no table.
    void put(const int32_t* symbols, const uint8_t* indices, size_t n);

    // The stream of all calls. The encoder is then empty, ready for another stream.
    std::vector<uint8_t> finish();

private:
    unsigned choose_lanes() const;
    uint16_t* encode_calls(uint32_t* states, unsigned lanes, uint16_t* out) const;

    std::shared_ptr<const Tables> tables_;
    const Kernels* kernels_;
    unsigned lanes_;  // 0: by the rule
    Buffer<uint32_t> entries_;
    std::vector<size_t> calls_;  // symbols of each call, because every call starts at lane 0
    BitWriter bypass_;
    uint64_t cost_ = 0;
};

// Copies the stream, so `data` may go after the constructor.
class Decoder {
public:
    // Throws CorruptStream when the header is not one that the encoder writes.
    Decoder(std::shared_ptr<const Tables> tables, const uint8_t* data, size_t size, const Kernels& kernels);

    // The same calls as the encoder's, in order. Throws std::invalid_argument when an index has no table, and
    // CorruptStream when the stream has ended before; every later call then throws too.
    void get(const uint8_t* indices, size_t n, int32_t* out);

    // Throws CorruptStream unless every word and bit is used and every lane is back at 2^16.
    void finish() const;

private:
    void get_block(const uint8_t* indices, size_t n, int32_t* out);
    int32_t read_rest(size_t table);

    std::shared_ptr<const Tables> tables_;
    const Kernels* kernels_;
    unsigned lanes_ = 1;
    uint32_t states_[kMaxLanes];
    std::vector<uint16_t> words_;  // with kReadPadding zeros at the end
    Words reader_{nullptr, nullptr};
    std::vector<uint8_t> bits_;
    BitReader bypass_{nullptr, 0};
    bool failed_ = false;
};

// Exact cost in bits of each symbol: 12 - log2(frequency), and for an escape the bits of the bypass section too.
// REQUIRES indices < tables.count().
void symbol_bits(const Tables& tables, const int32_t* symbols, const uint8_t* indices, size_t n, float* out);

}  // namespace tessera
