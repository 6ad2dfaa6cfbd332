// The neighbours that convolutions of the dyadic walk read.
#pragma once

#include <vector>

#include "dyadic.hpp"

namespace tessera {

struct Tap {
    int dy, dx;
};
using Taps = std::vector<Tap>;

inline Taps square(int reach, bool other_pass) {
    Taps taps;
    for (int dy = -reach; dy <= reach; ++dy) {
        for (int dx = -reach; dx <= reach; ++dx) {
            if (!other_pass || ((dy + dx) & 1) != 0) taps.push_back({dy, dx});
        }
    }
    return taps;
}

inline const Taps& context_taps() {
    static const Taps taps = square(1, false);
    return taps;
}

inline const Taps& low_taps() {
    static const Taps taps = square(2, false);
    return taps;
}

// Of cells of the second pass those of the first, since nothing else of the slice is known.
inline const Taps& near_taps() {
    static const Taps taps = square(2, true);
    return taps;
}

// Where the neighbour of cell (y, x) of a phase lies: its phase, and how far on in the rows and columns of that phase.
struct Neighbour {
    size_t phase;
    ptrdiff_t dy, dx;
};

inline Neighbour neighbour_of(size_t phase, const Tap& tap) {
    const int down = static_cast<int>(phase / 2) + tap.dy + 2, right = static_cast<int>(phase % 2) + tap.dx + 2;
    return {static_cast<size_t>(2 * (down % 2) + right % 2), down / 2 - 1, right / 2 - 1};
}

}  // namespace tessera
