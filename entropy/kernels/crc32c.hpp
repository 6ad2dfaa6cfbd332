// CRC-32C (Castagnoli): reflected polynomial 0x82f63b78, the checksum of iSCSI, ext4 and SSE 4.2.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera {

// The checksum of `data` after bytes whose checksum is `value`; 0 to begin.
uint32_t crc32c(const uint8_t* data, size_t size, uint32_t value);

// The same by table, on any machine; `crc32c` takes it where the processor has no instruction for it.
uint32_t crc32c_table(const uint8_t* data, size_t size, uint32_t value);

}  // namespace tessera
