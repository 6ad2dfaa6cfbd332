// Large buffers that are kept for the next frame, because fresh pages cost more than the work that is done in them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera {

// Bytes from the store of kept blocks or from the heap, aligned to 64 and not initialised. Throws std::bad_alloc.
// Any thread may take and give back. The store keeps at most kKeptBytes.
constexpr size_t kKeptBytes = size_t{96} << 20;
void* take_block(size_t bytes);
void give_block(void* block) noexcept;

template <typename T>
class Buffer {
public:
    explicit Buffer(size_t count) : data_(static_cast<T*>(take_block(count * sizeof(T)))) {}
    ~Buffer() { give_block(data_); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    T* get() const { return data_; }

private:
    T* data_;
};

}  // namespace tessera
