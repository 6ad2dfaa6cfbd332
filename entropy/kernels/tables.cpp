#include "tables.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace tessera {
namespace {

[[noreturn]] void refuse(size_t row, const std::string& reason) {
    throw std::invalid_argument("table " + std::to_string(row) + ": " + reason);
}

void check_row(size_t row, const uint16_t* frequencies, size_t columns, int32_t low, int32_t size) {
    if (size < 2 || static_cast<size_t>(size) > std::min(columns, kRow)) {
        refuse(row, "size " + std::to_string(size) + " is not in 2.." + std::to_string(std::min(columns, kRow)));
    }
    if (int64_t{low} + size - 2 > INT32_MAX) refuse(row, "low + size - 2 does not fit in 32 bits");
    uint32_t sum = 0;
    for (size_t i = 0; i < columns; ++i) {
        const bool used = i < static_cast<size_t>(size);
        if (used && frequencies[i] == 0) refuse(row, "frequency " + std::to_string(i) + " is 0");
        if (!used && frequencies[i] != 0) refuse(row, "frequency " + std::to_string(i) + " lies beyond the size");
        sum += frequencies[i];
    }
    if (sum != kTotal) refuse(row, "frequencies sum to " + std::to_string(sum) + " instead of 4096");
}

}  // namespace

Tables::Tables(const uint16_t* frequencies, size_t rows, size_t columns, const int32_t* lows, const int32_t* sizes) {
    if (rows < 1 || rows > kMaxTables) throw std::invalid_argument("there must be 1 to 256 tables");
    for (size_t t = 0; t < rows; ++t) {
        check_row(t, frequencies + t * columns, columns, lows[t], sizes[t]);
        const bool narrow = lows[t] >= -127 && int64_t{lows[t]} + sizes[t] - 2 <= 127;
        bases_.push_back(narrow ? 0 : int64_t{lows[t]} + 127);
        narrow_ = narrow_ && narrow;
    }
    lows_.assign(lows, lows + rows);
    sizes_.assign(sizes, sizes + rows);
    encoding_.resize(rows * kRow);
    decoding_.resize(rows * kTotal);
    usual_.resize(rows);
    usual_entries_.resize(rows);
    for (size_t t = 0; t < rows; ++t) fill(t, frequencies + t * columns);
}

void Tables::fill(size_t table, const uint16_t* row) {
    const uint32_t escape = static_cast<uint32_t>(sizes_[table]) - 1;
    const uint32_t escape_start = kTotal - row[escape];
    uint32_t* encoding = encoding_.data() + table * kRow;
    uint32_t* decoding = decoding_.data() + table * kTotal;
    std::fill_n(encoding, kRow, uint32_t{row[escape]} << 20 | escape_start << 8 | kEscapeFlag);
    uint32_t start = 0;
    for (uint32_t i = 0; i <= escape; ++i) {
        const uint32_t frequency = row[i];
        const int64_t value = int64_t{lows_[table]} + i - bases_[table];
        const uint32_t byte = i == escape ? 0x80u : static_cast<uint32_t>(value) & 0xff;
        if (i != escape) encoding[byte] = frequency << 20 | start << 8;
        if (frequency > kTotal / 2) {
            usual_[table] = {start, frequency, static_cast<int32_t>(byte << 24) >> 24};
            usual_entries_[table] = byte << 24 | start << 12 | frequency;
        }
        for (uint32_t k = 0; k < frequency; ++k) decoding[start + k] = byte << 24 | k << 12 | frequency;
        start += frequency;
    }
}

}  // namespace tessera
