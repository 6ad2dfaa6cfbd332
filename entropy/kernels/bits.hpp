// The bypass section: single bits and Exp-Golomb codes, lowest bit of a byte first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera {

// floor(log2(value)) for value >= 1.
inline unsigned log2_floor(uint64_t value) {
    unsigned result = 0;
    while (value >>= 1) ++result;
    return result;
}

class BitWriter {
public:
    void put(uint64_t bits, unsigned count) {
        for (unsigned i = 0; i < count; ++i, ++used_) {
            if (used_ % 8 == 0) bytes_.push_back(0);
            bytes_.back() = static_cast<uint8_t>(bytes_.back() | (bits >> i & 1) << used_ % 8);
        }
    }

    // k zeros, a one, the k low bits of value + 1, where value + 1 has k + 1 bits.
    void put_golomb(uint32_t value) {
        const uint64_t code = uint64_t{value} + 1;
        const unsigned k = log2_floor(code);
        put(uint64_t{1} << k, k + 1);
        put(code & ((uint64_t{1} << k) - 1), k);
    }

    const std::vector<uint8_t>& bytes() const { return bytes_; }
    void clear() {
        bytes_.clear();
        used_ = 0;
    }

private:
    std::vector<uint8_t> bytes_;
    uint64_t used_ = 0;
};

// Reads zeros beyond the end and keeps a flag: the caller checks once, with failed().
class BitReader {
public:
    BitReader(const uint8_t* bytes, size_t size) : bytes_(bytes), size_(uint64_t{size} * 8) {}

    bool failed() const { return failed_; }
    void fail() { failed_ = true; }

    uint64_t get(unsigned count) {
        uint64_t bits = 0;
        for (unsigned i = 0; i < count; ++i) bits |= uint64_t{bit()} << i;
        return bits;
    }

    uint32_t get_golomb() {
        unsigned k = 0;
        while (k <= 32 && !failed_ && bit() == 0) ++k;
        const uint64_t code = k <= 32 ? (uint64_t{1} << k | get(k)) : 0;
        if (failed_ || k > 32 || code > uint64_t{1} << 32) {
            failed_ = true;
            return 0;
        }
        return static_cast<uint32_t>(code - 1);
    }

    // Nothing but fewer than eight zero bits is left.
    bool ended() const {
        if (failed_ || size_ - used_ >= 8) return false;
        return size_ == used_ || bytes_[used_ / 8] >> used_ % 8 == 0;
    }

private:
    unsigned bit() {
        if (used_ == size_) {
            failed_ = true;
            return 0;
        }
        const unsigned result = bytes_[used_ / 8] >> used_ % 8 & 1;
        ++used_;
        return result;
    }

    const uint8_t* bytes_;
    uint64_t size_;
    uint64_t used_ = 0;
    bool failed_ = false;
};

}  // namespace tessera
