// Fields of vectors and what they cost.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "threads.hpp"

namespace tessera {

struct Vector {
    int y = 0, x = 0;
    bool operator==(const Vector& other) const { return y == other.y && x == other.x; }
};
inline Vector operator+(const Vector& a, const Vector& b) { return {a.y + b.y, a.x + b.x}; }
inline Vector operator*(const Vector& a, int factor) { return {a.y * factor, a.x * factor}; }

struct Field {
    Field(size_t rows_, size_t columns_) : rows(rows_), columns(columns_), vectors(rows_ * columns_) {}
    Vector& at(size_t r, size_t c) { return vectors[r * columns + c]; }
    const Vector& at(size_t r, size_t c) const { return vectors[r * columns + c]; }
    size_t rows, columns;
    std::vector<Vector> vectors;
};

// A few different things, in the order they came.
template <typename T, size_t kMost>
struct Few {
    // False where it is among them already; what comes when they are kMost is not kept.
    bool add(const T& item) {
        if (std::find(items.begin(), items.begin() + count, item) != items.begin() + count) return false;
        if (count < kMost) items[count++] = item;
        return true;
    }
    const T* begin() const { return items.data(); }
    const T* end() const { return items.data() + count; }
    std::array<T, kMost> items{};
    size_t count = 0;
};

// work(r, c) for the up to eight blocks around (r, c).
template <typename Work>
void around(size_t rows, size_t columns, size_t r, size_t c, const Work& work) {
    for (size_t y = r > 0 ? r - 1 : 0; y <= r + 1 && y < rows; ++y) {
        for (size_t x = c > 0 ? c - 1 : 0; x <= c + 1 && x < columns; ++x) {
            if (y != r || x != c) work(y, x);
        }
    }
}

// The median of each component, the lower one of an even count; zero of none.
struct Median {
    void add(const Vector& v) {
        ys[count] = v.y;
        xs[count++] = v.x;
    }
    Vector get() {
        if (count == 0) return {};
        const size_t middle = (count - 1) / 2;
        std::nth_element(ys, ys + middle, ys + count);
        std::nth_element(xs, xs + middle, xs + count);
        return {ys[middle], xs[middle]};
    }
    int ys[8], xs[8];
    size_t count = 0;
};

inline Vector median_around(const Field& field, size_t r, size_t c) {
    Median median;
    around(field.rows, field.columns, r, c, [&](size_t y, size_t x) { median.add(field.at(y, x)); });
    return median.get();
}

// About the bits of a vector that was expected to be another one, in quarter samples.
float bits_of(const Vector& apart);

// visit(r, c) for every block: first the even rows, then the odd ones, so that what a row reads of its neighbours does
// not depend on the number of threads.
template <typename Visit>
void sweep(size_t rows, size_t columns, bool backward, size_t threads, const Visit& visit) {
    for (size_t parity = 0; parity < 2; ++parity) {
        in_parts((rows + 1 - parity) / 2, threads, 2, [&](size_t first, size_t last) {
            for (size_t i = first; i < last; ++i) {
                for (size_t c = 0; c < columns; ++c) visit(2 * i + parity, backward ? columns - 1 - c : c);
            }
        });
    }
}

}  // namespace tessera
