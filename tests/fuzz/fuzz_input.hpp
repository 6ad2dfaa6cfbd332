// What the fuzz targets of the kernels share: numbers made of the input. Comes after the headers of the kernels.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "fuzz.hpp"

namespace {

using namespace tessera;

struct Input {
    const uint8_t* data;
    size_t size;

    int kind() const { return data[0] & 3; }
    bool less() const { return data[0] & 4; }
    bool shorter() const { return data[0] & 8; }
    size_t side(size_t axis, size_t small, size_t large) const {
        return 1 + data[2 + axis] % (data[0] & 16 ? large : small);
    }

    uint32_t word(size_t i) const {
        uint32_t value = static_cast<uint32_t>(i) * 2654435761u;  // so that repeated bytes are not repeated words
        for (size_t k = 0; k < 4 && size > 4; ++k) value ^= uint32_t{data[4 + (4 * i + k) % (size - 4)]} << 8 * k;
        return value;
    }

    // Mostly small, now and then anything, and the ends of the range.
    int32_t integer(size_t i) const {
        const uint32_t w = word(i);
        switch (w >> 4 & 31) {
            case 0: return std::numeric_limits<int32_t>::min();
            case 1: return std::numeric_limits<int32_t>::max();
            case 2: return static_cast<int32_t>(w);
            case 3: return static_cast<int32_t>(w) >> 7;  // on either side of kLargest
            case 4: return static_cast<int32_t>(w) >> 16;
            default: return static_cast<int32_t>(w & 15) - 8;
        }
    }

    float real(size_t i) const {
        const uint32_t w = word(i);
        switch (w & 63) {
            case 0: return std::numeric_limits<float>::infinity();
            case 1: return -std::numeric_limits<float>::infinity();
            case 2: return std::numeric_limits<float>::quiet_NaN();
            case 3: return -1e30f;
            case 4: return 2147483648.0f;
            case 5: return -2147483648.0f;
            case 6: return 16777215.5f;
            default: return static_cast<float>(static_cast<int32_t>(w) >> (8 + (w & 15))) / 64.0f;
        }
    }
};

std::vector<uint32_t> bits_of(const std::vector<float>& values) {
    std::vector<uint32_t> bits(values.size());
    if (!values.empty()) std::memcpy(bits.data(), values.data(), values.size() * sizeof(float));
    return bits;
}

}  // namespace
