// A pass in parts of rows, on a few threads.
#pragma once

#include "../threads.hpp"
#include "fit.hpp"

namespace tessera {
namespace fit {

void clear(const Plane& plane);  // margins too

// work(i) for i in 0..count.
template <typename Work>
void in_each(size_t count, size_t threads, const Work& work) {
    in_parts(count, threads, 1, [&](size_t first, size_t last) {
        for (size_t i = first; i < last; ++i) work(i);
    });
}

// work(part, rows) for every part of the picture.
template <typename Work>
void Fit::in_rows(size_t threads, const Work& work) const {
    in_each(parts_, threads, [&](size_t part) { work(part, rows_of(shape_.height, part, parts_)); });
}

}  // namespace fit
}  // namespace tessera
