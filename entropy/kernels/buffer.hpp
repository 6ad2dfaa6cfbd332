// A growing array of plain values that leaves new elements unset: std::vector would write each of them once more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <type_traits>

namespace tessera {

template <typename T>
class Buffer {
    static_assert(std::is_trivially_copyable<T>::value, "elements are moved by realloc");

public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { std::free(data_); }

    const T* data() const { return data_; }
    size_t size() const { return size_; }

    // Adds n unset elements and returns the first of them. Throws std::bad_alloc.
    T* extend(size_t n) {
        if (n > capacity_ - size_) grow(n);
        T* first = data_ + size_;
        size_ += n;
        return first;
    }

    void clear() {
        std::free(data_);
        data_ = nullptr;
        size_ = capacity_ = 0;
    }

private:
    void grow(size_t n) {
        if (n > SIZE_MAX / sizeof(T) / 4 || size_ > SIZE_MAX / sizeof(T) / 4) throw std::bad_alloc();
        const size_t wanted = size_ + n > 2 * capacity_ ? size_ + n : 2 * capacity_;
        T* moved = static_cast<T*>(std::realloc(data_, wanted * sizeof(T)));
        if (moved == nullptr) throw std::bad_alloc();
        data_ = moved;
        capacity_ = wanted;
    }

    T* data_ = nullptr;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

}  // namespace tessera
