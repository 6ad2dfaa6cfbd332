#include "exact.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "exact_loops.hpp"
#include "strips.hpp"
#include "threads.hpp"

namespace tessera {
namespace {

// Bands of so many cells that are worth a thread.
size_t worth(size_t cells) { return 1 + (size_t{1} << 15) / (cells + 1); }

void copy_lanes(const int32_t* from, size_t count, int32_t* to) {
    if (count == kLanes) {
        std::memcpy(to, from, kLanes * sizeof(int32_t));
    } else {
        std::memcpy(to, from, count * sizeof(int32_t));
    }
}

// work(y, count, scratch) over the lines of all axes, kLanes at a time.
template <typename Work>
void over_lines(const Middle& middle, size_t columns, size_t threads, const Work& work) {
    const size_t lines = 3 * middle.lines;
    in_parts((lines + kLanes - 1) / kLanes, threads, kSmallestRows / kLanes, [&](size_t first, size_t last) {
        std::vector<int32_t> scratch(8 * columns * kLanes, 0);
        for (size_t y = first * kLanes; y < std::min(lines, last * kLanes); y += kLanes) {
            work(y, std::min(kLanes, lines - y), scratch.data());
        }
    });
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

void exact_pad(const int32_t* lifted, size_t height, size_t width, int16_t* planes, size_t threads,
               const Kernels& kernels) {
    const Frame frame{height, width, 3};
    const size_t tall = kCell * frame.rows(), wide = kCell * frame.columns();
    in_parts(3 * tall, threads, kSmallestRows, [&](size_t first, size_t last) {
        for (size_t y = first; y < last; ++y) {
            const int32_t* from = lifted + (y / tall * height + std::min(y % tall, height - 1)) * width;
            int16_t* to = planes + y * wide;
            kernels.exact.samples(from, width, to);
            std::fill(to + width, to + wide, to[width - 1]);
        }
    });
}

void exact_crop(const int16_t* planes, size_t height, size_t width, int32_t* lifted, size_t threads) {
    const Frame frame{height, width, 3};
    const size_t tall = kCell * frame.rows(), wide = kCell * frame.columns();
    in_parts(3 * height, threads, kSmallestRows, [&](size_t first, size_t last) {
        for (size_t y = first; y < last; ++y) {
            std::copy_n(planes + (y / height * tall + y % height) * wide, width, lifted + y * width);
        }
    });
}

void exact_analyse(const int16_t* planes, size_t rows, size_t columns, int32_t* const* bands, size_t threads,
                   const Kernels& kernels) {
    const ExactLoops& loops = kernels.exact;
    const Middle middle(rows, columns);
    over_lines(middle, columns, threads, [&](size_t y, size_t count, int32_t* scratch) {
        loops.split_lines(planes + y * 8 * columns, columns, count, scratch, middle.line(0, y), middle.pitch);
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
    over_lines(middle, columns, threads, [&](size_t y, size_t count, int32_t* scratch) {
        loops.merge_lines(middle.line(0, y), middle.pitch, columns, count, scratch, planes + y * 8 * columns);
    });
}

void restore(const int32_t* symbols, const int64_t* steps, const int32_t* prediction, size_t bands, size_t cells,
             int32_t* out, size_t threads, const Kernels& kernels) {
    in_parts(bands, threads, worth(cells), [&](size_t first, size_t last) {
        for (size_t band = first; band < last; ++band) {
            const size_t at = band * cells;
            kernels.exact.restore(symbols + at, steps[band], prediction ? prediction + at : nullptr, cells, out + at);
        }
    });
}

void hints(const int32_t* prediction, const int64_t* reciprocals, size_t bands, size_t cells, int32_t* out,
           size_t threads, const Kernels& kernels) {
    in_parts(bands, threads, worth(cells), [&](size_t first, size_t last) {
        for (size_t band = first; band < last; ++band) {
            kernels.exact.hints(prediction + band * cells, reciprocals[band], cells, out + band * cells);
        }
    });
}

int64_t effort(const int32_t* bands, const int32_t* prediction, const int64_t* reciprocals, size_t count, size_t cells,
               const int32_t* costs, size_t threads, const Kernels& kernels) {
    constexpr size_t kSome = 256;
    std::atomic<int64_t> total{0};
    in_parts(count, threads, worth(cells), [&](size_t first, size_t last) {
        int32_t rest[kSome], found[kSome];
        int64_t sum = 0;
        for (size_t band = first; band < last; ++band) {
            for (size_t start = 0; start < cells; start += kSome) {
                const size_t n = std::min(kSome, cells - start);
                const int32_t* from = bands + band * cells + start;
                if (prediction == nullptr) {
                    std::copy_n(from, n, rest);
                } else {
                    const int32_t* known = prediction + band * cells + start;
                    for (size_t i = 0; i < n; ++i) {
                        const uint32_t apart = static_cast<uint32_t>(from[i]) - static_cast<uint32_t>(known[i]);
                        rest[i] = static_cast<int32_t>(apart);
                    }
                }
                kernels.exact.hints(rest, reciprocals[band], n, found);
                for (size_t i = 0; i < n; ++i) sum += costs[found[i]];
            }
        }
        total += sum;
    });
    return total;
}

void scaled_residual(const int32_t* bands, const int32_t* prediction, const float* inverse, size_t count, size_t rows,
                     size_t columns, float* out, size_t threads, const Kernels& kernels) {
    const size_t cells = rows * columns;
    in_parts(count, threads, worth(cells), [&](size_t first, size_t last) {
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
