#include "transform.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "strips.hpp"
#include "threads.hpp"

namespace tessera {
namespace {

// What scaling each level by LOW_GAIN and 1 / LOW_GAIN makes of a band: lifting leaves it out.
float gain_of(size_t vertical, size_t horizontal) {
    double gain = 1.0;
    for (size_t place : {vertical, horizontal}) {
        for (size_t level = 0; level < 3; ++level) gain *= place >> level & 1 ? 1.0 / kLowGain : kLowGain;
    }
    return static_cast<float>(gain);
}

}  // namespace

void analyse(const Frame& frame, const uint8_t* pixels, float* const* bands, const float* scales, size_t threads,
             const Kernels& kernels) {
    const Middle<float> middle(frame.rows(), frame.columns());
    const size_t cells = frame.columns(), rows = frame.rows();
    in_parts(middle.lines, threads, kSmallestRows, [&](size_t first, size_t last) {
        std::vector<float> axes(3 * 8 * cells);
        for (size_t y = first; y < last; ++y) {
            const size_t row = std::min(y, frame.height - 1);
            kernels.colours(pixels + row * frame.width * frame.channels, frame.width, frame.channels, cells,
                            axes.data());
            for (size_t axis = 0; axis < 3; ++axis)
                kernels.split_row(&axes[axis * 8 * cells], cells, middle.line(axis, y));
        }
    });
    const std::vector<Strip> strips = strips_of(cells);
    in_parts(strips.size(), threads, kSmallestStrips, [&](size_t first, size_t last) {
        std::vector<float> column(middle.lines * kLanes, 0.0f);
        for (size_t s = first; s < last; ++s) {
            const Strip& strip = strips[s];
            kernels.load_strip(middle.strip(strip, cells), middle.pitch, middle.lines, strip.count, column.data());
            kernels.split_column(column.data(), rows);
            for (size_t place = 0; place < 8; ++place) {
                const size_t band = strip.axis * 64 + band_of(place, strip.phase);
                if (bands[band] == nullptr) continue;
                const float scale = scales[band] * gain_of(place, strip.phase);
                const float* from = &column[place * kLanes];
                float* to = bands[band];
                if (band % 64 == 0) {
                    for (size_t y = 0; y < rows; ++y) {
                        for (size_t i = 0; i < strip.count; ++i)
                            to[y * cells + strip.first + i] = from[8 * y * kLanes + i] * scale;
                    }
                    continue;
                }
                // strips start at even columns, so half of `first` cells of either kind come before them in their row
                for (size_t y = 0; y < rows; ++y) {
                    const size_t before = y * cells;
                    float* first_kind = to + (before + 1) / 2 + strip.first / 2;
                    float* second_kind = to + (rows * cells + 1) / 2 + before / 2 + strip.first / 2;
                    const bool odd = y % 2 == 1;
                    kernels.deal(from + 8 * y * kLanes, strip.count, scale, odd ? second_kind : first_kind,
                                 odd ? first_kind : second_kind);
                }
            }
        }
    });
}

void synthesise(const Frame& frame, const Source* sources, uint8_t* pixels, size_t threads, const Kernels& kernels) {
    const Middle<float> middle(frame.rows(), frame.columns());
    const size_t cells = frame.columns();
    const std::vector<Strip> strips = strips_of(cells);
    in_parts(strips.size(), threads, kSmallestStrips, [&](size_t first, size_t last) {
        std::vector<float> column(middle.lines * kLanes, 0.0f);
        for (size_t s = first; s < last; ++s) {
            const Strip& strip = strips[s];
            for (size_t place = 0; place < 8; ++place) {
                const Source& source = sources[strip.axis * 64 + band_of(place, strip.phase)];
                const float gain = 1.0f / gain_of(place, strip.phase);
                for (size_t y = 0; y < frame.rows(); ++y) {
                    const size_t at = y * cells + strip.first;
                    kernels.blend(source.symbols ? source.symbols + at : nullptr,
                                  source.correction ? source.correction + at : nullptr,
                                  source.plane ? source.plane + at : nullptr, source.scale * gain, gain, strip.count,
                                  &column[(8 * y + place) * kLanes]);
                }
            }
            kernels.merge_column(column.data(), frame.rows());
            kernels.store_strip(column.data(), middle.pitch, middle.lines, strip.count, middle.strip(strip, cells));
        }
    });
    in_parts(frame.height, threads, kSmallestRows, [&](size_t first, size_t last) {
        std::vector<float> axes(3 * 8 * cells);
        for (size_t y = first; y < last; ++y) {
            for (size_t axis = 0; axis < 3; ++axis)
                kernels.merge_row(middle.line(axis, y), cells, &axes[axis * 8 * cells]);
            kernels.pixels(axes.data(), frame.width, frame.channels, cells, pixels + y * frame.width * frame.channels);
        }
    });
}

void describe(const int32_t* values, const uint8_t* rungs, size_t planes, size_t cells, uint16_t* out, size_t threads,
              const Kernels& kernels) {
    uint16_t table[256];
    for (int i = 0; i < 256; ++i) {
        const float value = std::log1p(static_cast<float>(i));
        uint32_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        table[i] = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
    in_parts(planes, threads, 16, [&](size_t first, size_t last) {
        for (size_t p = first; p < last; ++p) {
            kernels.compand(values + p * cells, cells, table, out + p * cells);
            kernels.rescale(rungs + p * cells, cells, out + (planes + p) * cells);
        }
    });
}

}  // namespace tessera
