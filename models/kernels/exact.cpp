#include "exact.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "exact_loops.hpp"
#include "strips.hpp"
#include "threads.hpp"

namespace tessera {
namespace {

constexpr size_t kSmallestBands = 8;  // fewer bands are not worth a thread

void copy_lanes(const int32_t* from, size_t count, int32_t* to) {
    if (count == kLanes) {
        std::memcpy(to, from, kLanes * sizeof(int32_t));
    } else {
        std::memcpy(to, from, count * sizeof(int32_t));
    }
}

}  // namespace

void exact_planes(const Frame& frame, const uint8_t* pixels, int16_t* planes, size_t threads, const Kernels& kernels) {
    const size_t cells = frame.columns(), pitch = 64 * frame.rows() * cells;
    in_parts(8 * frame.rows(), threads, kSmallestRows, [&](size_t first, size_t last) {
        for (size_t y = first; y < last; ++y) {
            const uint8_t* row = pixels + std::min(y, frame.height - 1) * frame.width * frame.channels;
            kernels.exact.colours(row, frame.width, frame.channels, cells, planes + y * 8 * cells, pitch);
        }
    });
}

void exact_pixels(const Frame& frame, const int16_t* planes, uint8_t* pixels, size_t threads, const Kernels& kernels) {
    const size_t cells = frame.columns(), pitch = 64 * frame.rows() * cells;
    in_parts(frame.height, threads, kSmallestRows, [&](size_t first, size_t last) {
        for (size_t y = first; y < last; ++y) {
            kernels.exact.pixels(planes + y * 8 * cells, pitch, frame.width, frame.channels,
                                  pixels + y * frame.width * frame.channels);
        }
    });
}

void exact_analyse(const int16_t* planes, size_t rows, size_t columns, int32_t* const* bands, size_t threads,
                   const Kernels& kernels) {
    const ExactLoops& loops = kernels.exact;
    const Middle middle(rows, columns);
    in_parts(3 * middle.lines, threads, kSmallestRows, [&](size_t first, size_t last) {
        std::vector<int32_t> scratch(8 * columns);
        for (size_t y = first; y < last; ++y) {
            loops.split_row(planes + y * 8 * columns, columns, scratch.data(), middle.line(0, y));
        }
    });
    const std::vector<Strip> strips = strips_of(columns);
    in_parts(strips.size(), threads, kSmallestStrips, [&](size_t first, size_t last) {
        std::vector<int32_t> column(middle.lines * kLanes, 0);
        for (size_t s = first; s < last; ++s) {
            const Strip& strip = strips[s];
            loops.load_strip(middle.strip(strip, columns), middle.pitch, middle.lines, strip.count, column.data());
            loops.split_column(column.data(), rows);
            for (size_t place = 0; place < 8; ++place) {
                int32_t* to = bands[strip.axis * 64 + band_of(place, strip.phase)];
                if (to == nullptr) continue;
                for (size_t y = 0; y < rows; ++y) {
                    copy_lanes(&column[(8 * y + place) * kLanes], strip.count, to + y * columns + strip.first);
                }
            }
        }
    });
}

void exact_synthesise(const int32_t* const* bands, size_t rows, size_t columns, int16_t* planes, size_t threads,
                      const Kernels& kernels) {
    const ExactLoops& loops = kernels.exact;
    const Middle middle(rows, columns);
    const std::vector<Strip> strips = strips_of(columns);
    in_parts(strips.size(), threads, kSmallestStrips, [&](size_t first, size_t last) {
        std::vector<int32_t> column(middle.lines * kLanes, 0);
        for (size_t s = first; s < last; ++s) {
            const Strip& strip = strips[s];
            for (size_t place = 0; place < 8; ++place) {
                const int32_t* from = bands[strip.axis * 64 + band_of(place, strip.phase)];
                for (size_t y = 0; y < rows; ++y) {
                    int32_t* to = &column[(8 * y + place) * kLanes];
                    if (from == nullptr) {
                        std::memset(to, 0, kLanes * sizeof(int32_t));
                    } else {
                        copy_lanes(from + y * columns + strip.first, strip.count, to);
                    }
                }
            }
            loops.merge_column(column.data(), rows);
            loops.store_strip(column.data(), middle.pitch, middle.lines, strip.count, middle.strip(strip, columns));
        }
    });
    in_parts(3 * middle.lines, threads, kSmallestRows, [&](size_t first, size_t last) {
        std::vector<int32_t> scratch(8 * columns);
        for (size_t y = first; y < last; ++y) {
            loops.merge_row(middle.line(0, y), columns, scratch.data(), planes + y * 8 * columns);
        }
    });
}

void restore(const int32_t* symbols, const int64_t* steps, const int32_t* prediction, size_t bands, size_t cells,
             int32_t* out, size_t threads, const Kernels& kernels) {
    in_parts(bands, threads, kSmallestBands, [&](size_t first, size_t last) {
        for (size_t band = first; band < last; ++band) {
            const size_t at = band * cells;
            kernels.exact.restore(symbols + at, steps[band], prediction ? prediction + at : nullptr, cells, out + at);
        }
    });
}

void hints(const int32_t* prediction, const int64_t* reciprocals, size_t bands, size_t cells, int32_t* out,
           size_t threads, const Kernels& kernels) {
    in_parts(bands, threads, kSmallestBands, [&](size_t first, size_t last) {
        for (size_t band = first; band < last; ++band) {
            kernels.exact.hints(prediction + band * cells, reciprocals[band], cells, out + band * cells);
        }
    });
}

void scaled_residual(const int32_t* bands, const int32_t* prediction, const float* inverse, size_t count, size_t rows,
                     size_t columns, float* out, size_t threads, const Kernels& kernels) {
    const size_t cells = rows * columns;
    in_parts(count, threads, kSmallestBands, [&](size_t first, size_t last) {
        for (size_t band = first; band < last; ++band) {
            for (size_t y = 0; y < rows; ++y) {
                const size_t before = y * columns, at = band * cells + before;
                float* one = out + band * cells + (before + 1) / 2;
                float* other = out + band * cells + (cells + 1) / 2 + before / 2;
                if (y % 2 == 1) std::swap(one, other);
                kernels.exact.residual(bands + at, prediction ? prediction + at : nullptr, inverse[band], columns,
                                        one, other);
            }
        }
    });
}

}  // namespace tessera
