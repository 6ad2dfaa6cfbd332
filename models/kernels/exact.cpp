#include "exact.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "exact_loops.hpp"
#include "pyramid.hpp"
#include "strips.hpp"
#include "threads.hpp"

namespace tessera {
namespace {

constexpr size_t kSmallestBands = 8;  // that are worth a thread

void copy_lanes(const int32_t* from, size_t count, int32_t* to) {
    if (count == kLanes) {
        std::memcpy(to, from, kLanes * sizeof(int32_t));
    } else {
        std::memcpy(to, from, count * sizeof(int32_t));
    }
}

int32_t taken(int32_t v) { return std::clamp(v, -kBandLimit, kBandLimit); }

struct ExactLifting {
    const ExactLoops& loops;
    void lift(int32_t* to, const int32_t* left, const int32_t* right, size_t count, int step, bool undo) const {
        loops.lift(to, left, right, count, step, undo);
    }
    void settle(int32_t* values, size_t count) const {
        for (size_t i = 0; i < count; ++i) values[i] = taken(values[i]);
    }
};

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
    const Middle<int32_t> middle(rows, columns);
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
    const Middle<int32_t> middle(rows, columns);
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

void exact_split(const int32_t* plane, size_t height, size_t width, int32_t* low, int32_t* details,
                 const Kernels& kernels) {
    const size_t h = (height + 1) / 2, w = (width + 1) / 2;
    const ExactLifting with{kernels.exact};
    const Buffer<int32_t> buffer(4 * h * w);
    const auto row = [&](size_t y) { return buffer.get() + y * 2 * w; };
    for (size_t y = 0; y < height; ++y) {
        const int32_t* from = plane + y * width;
        for (size_t x = 0; x < w; ++x) {
            row(y)[x] = taken(from[2 * x]);
            row(y)[w + x] = taken(from[std::min(2 * x + 1, width - 1)]);
        }
        lift_row(with, row(y), row(y) + w, w, false);
    }
    if (height % 2 == 1) std::copy_n(row(height - 1), 2 * w, row(height));
    with.settle(buffer.get(), 4 * h * w);
    lift_halves(
        with, [&](size_t y) { return row(2 * y); }, [&](size_t y) { return row(2 * y + 1); }, h, 2 * w, false);
    for (size_t y = 0; y < h; ++y) {
        std::copy_n(row(2 * y), w, low + y * w);
        std::copy_n(row(2 * y) + w, w, details + y * w);
        std::copy_n(row(2 * y + 1), w, details + (h + y) * w);
        std::copy_n(row(2 * y + 1) + w, w, details + (2 * h + y) * w);
    }
}

void exact_merge(const int32_t* low, const int32_t* details, size_t height, size_t width, int32_t* plane,
                 const Kernels& kernels) {
    const size_t h = (height + 1) / 2, w = (width + 1) / 2;
    const Buffer<int32_t> buffer(4 * h * w);
    const auto row = [&](size_t y) { return buffer.get() + y * 2 * w; };
    for (size_t y = 0; y < h; ++y) {
        std::copy_n(low + y * w, w, row(2 * y));
        std::copy_n(details + y * w, w, row(2 * y) + w);
        std::copy_n(details + (h + y) * w, w, row(2 * y + 1));
        std::copy_n(details + (2 * h + y) * w, w, row(2 * y + 1) + w);
    }
    merge_rows(ExactLifting{kernels.exact}, buffer.get(), height, width, plane);
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
