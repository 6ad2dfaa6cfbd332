#include "crc32c.hpp"

#include <cstring>

#include "dispatch.hpp"

#if TESSERA_X86
#include <nmmintrin.h>
#endif

namespace tessera {
namespace {

struct Table {
    uint32_t steps[256] = {};
    constexpr Table() {
        for (uint32_t byte = 0; byte < 256; ++byte) {
            uint32_t value = byte;
            for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0x82f63b78u : 0u);
            steps[byte] = value;
        }
    }
};

constexpr Table kTable;

#if TESSERA_X86
__attribute__((target("sse4.2"))) uint32_t crc32c_hardware(const uint8_t* data, size_t size, uint32_t value) {
    uint64_t sum = ~value;
    for (; size >= 8; size -= 8, data += 8) {
        uint64_t word;
        std::memcpy(&word, data, sizeof word);
        sum = _mm_crc32_u64(sum, word);
    }
    auto rest = static_cast<uint32_t>(sum);
    for (; size > 0; --size) rest = _mm_crc32_u8(rest, *data++);
    return ~rest;
}
#endif

}  // namespace

uint32_t crc32c_table(const uint8_t* data, size_t size, uint32_t value) {
    value = ~value;
    for (size_t i = 0; i < size; ++i) value = value >> 8 ^ kTable.steps[(value ^ data[i]) & 0xff];
    return ~value;
}

uint32_t crc32c(const uint8_t* data, size_t size, uint32_t value) {
#if TESSERA_X86
    static const bool hardware = has_crc32c();
    if (hardware) return crc32c_hardware(data, size, value);
#endif
    return crc32c_table(data, size, value);
}

}  // namespace tessera
