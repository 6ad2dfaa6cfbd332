// Probability tables: validated integer frequencies and the two lookup arrays made from them. No Python here.
//
// PRECISION. Frequencies sum to 2^12. Measured on 64 quantised-Gaussian tables (scales 0.11-32, 1.38 bits per symbol):
//
//     bits   size above the entropy of the true model   decoding array per table
//     12     0.021 %                                     16 KiB  (64 tables: 1 MiB, the size of a core's L2 cache)
//     13     0.010 %                                     32 KiB
//     14     0.005 %                                     64 KiB  (64 tables: 4 MiB, L3 cache)
//     16     0.001 %                                    256 KiB
//
// Twelve bits leave 0.02 % and keep one load per symbol inside the L2 cache. A certain symbol costs 0.00035 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera {

constexpr unsigned kPrecision = 12;
constexpr uint32_t kTotal = 1u << kPrecision;
constexpr size_t kMaxTables = 256;
constexpr size_t kRow = 256;  // entries per table in the encoding array

// Encoding entry: frequency << 20 | start << 8 | kEscapeFlag when the symbol is outside its table.
constexpr uint32_t kEscapeFlag = 1;

// What the bypass section holds of an escape: the side of the table and the distance beyond its last value there.
struct Rest {
    bool above;
    uint32_t distance;
};

// The symbol that takes more than half of a table: its slots are start .. start + frequency - 1. Frequency 0: none
// does.
struct Usual {
    uint32_t start, frequency;
    int32_t byte;
};

class Tables {
public:
    // frequencies: rows x columns, row-major; lows, sizes: rows entries. Throws std::invalid_argument with the row and
    // the reason unless 1 <= rows <= 256, 2 <= sizes[t] <= min(columns, 256), the first sizes[t] frequencies of a row
    // are >= 1 and sum to 4096, the rest are 0, and lows[t] + sizes[t] - 2 fits in 32 bits.
    Tables(const uint16_t* frequencies, size_t rows, size_t columns, const int32_t* lows, const int32_t* sizes);

    size_t count() const { return lows_.size(); }
    int32_t low(size_t table) const { return lows_[table]; }
    int32_t size(size_t table) const { return sizes_[table]; }

    // A table has at most 255 values, so value - base is one signed byte in -127..127, and -128 stands for the escape.
    // The base is 0 where all values lie in -127..127 already.
    int64_t base(size_t table) const { return bases_[table]; }

    // All bases are 0: a byte is the value.
    bool narrow() const { return narrow_; }

    // count() x 256 entries, indexed by that byte.
    const uint32_t* encoding() const { return encoding_.data(); }

    // count() x 4096 entries, indexed by the slot: byte << 24 | (slot - start) << 12 | frequency.
    const uint32_t* decoding() const { return decoding_.data(); }

    // count() entries.
    const Usual* usual() const { return usual_.data(); }

    // The same as decoding entries, with the start in the place of slot - start.
    const uint32_t* usual_entries() const { return usual_entries_.data(); }

    Rest rest(size_t table, int32_t value) const {
        const int64_t high = int64_t{lows_[table]} + sizes_[table] - 2;
        if (value > high) return {true, static_cast<uint32_t>(value - high - 1)};
        return {false, static_cast<uint32_t>(int64_t{lows_[table]} - 1 - value)};
    }

    // The inverse of rest(); may lie outside 32 bits for a hostile stream.
    int64_t value(size_t table, Rest rest) const {
        const int64_t high = int64_t{lows_[table]} + sizes_[table] - 2;
        return rest.above ? high + 1 + rest.distance : int64_t{lows_[table]} - 1 - rest.distance;
    }

private:
    void fill(size_t table, const uint16_t* row);

    bool narrow_ = true;
    std::vector<int32_t> lows_, sizes_;
    std::vector<int64_t> bases_;
    std::vector<uint32_t> encoding_, decoding_, usual_entries_;
    std::vector<Usual> usual_;
};

}  // namespace tessera
