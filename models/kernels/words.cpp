#include "words.hpp"

#include <algorithm>

#include "threads.hpp"

namespace tessera {
namespace {

constexpr size_t kSmallestGroups = 16;  // fewer groups of cells are not worth a thread

constexpr size_t kBlock = 64;  // cells whose channels stay in the cache while planes are read one after the other
constexpr size_t kSmallestBlocks = 8;  // fewer blocks are not worth a thread

// word(channel, cell) of every channel and cell, block by block.
template <typename Word>
void fill(size_t channels, Cells out, size_t threads, const Word& word) {
    const size_t blocks = (out.count + kBlock - 1) / kBlock;
    in_parts(blocks, threads, kSmallestBlocks, [&](size_t first, size_t last) {
        for (size_t block = first; block < last; ++block) {
            const size_t begin = block * kBlock, end = std::min(out.count, begin + kBlock);
            for (size_t channel = 0; channel < channels; ++channel) {
                int16_t* to = out.data + channel;
                for (size_t cell = begin; cell < end; ++cell) to[cell * out.pitch] = word(channel, cell);
            }
        }
    });
}

int16_t signed_entry(const int16_t* table, int64_t entries, int64_t magnitude, int32_t value) {
    const int16_t found = table[std::min(magnitude, entries - 1)];
    return value < 0 ? static_cast<int16_t>(-found) : found;
}

int64_t magnitude_of(int64_t value) { return value < 0 ? -value : value; }

}  // namespace

void describe_integers(const int32_t* values, size_t channels, const int16_t* table, size_t entries, Cells out,
                       size_t threads) {
    fill(channels, out, threads, [=](size_t channel, size_t cell) {
        const int32_t value = values[channel * out.count + cell];
        return signed_entry(table, static_cast<int64_t>(entries), magnitude_of(value), value);
    });
}

void describe_bytes(const uint8_t* values, size_t channels, const int16_t* table, Cells out, size_t threads) {
    fill(channels, out, threads,
         [=](size_t channel, size_t cell) { return table[values[channel * out.count + cell]]; });
}

void describe_scaled(const int32_t* values, size_t channels, const int64_t* reciprocals, const int16_t* table,
                     size_t entries, Cells out, size_t threads) {
    fill(channels, out, threads, [=](size_t channel, size_t cell) {
        const int32_t value = values[channel * out.count + cell];
        const int64_t magnitude = std::min(magnitude_of(value), kWordMagnitude);
        return signed_entry(table, static_cast<int64_t>(entries), magnitude * reciprocals[channel] >> kWordShift,
                            value);
    });
}

void describe_low(const int32_t* low, size_t height, size_t width, const int64_t* reciprocals, const int16_t* table,
                  size_t entries, int32_t factor, Cells out) {
    for (size_t axis = 0; axis < 3; ++axis) {
        const int32_t* plane = low + axis * height * width;
        for (size_t y = 0; y < height; ++y) {
            const size_t top = y > 0 ? y - 1 : 0, bottom = std::min(height, y + 2);
            for (size_t x = 0; x < width; ++x) {
                const size_t left = x > 0 ? x - 1 : 0, right = std::min(width, x + 2);
                int64_t sum = 0;
                for (size_t row = top; row < bottom; ++row) {
                    for (size_t column = left; column < right; ++column) sum += plane[row * width + column];
                }
                const size_t count = (bottom - top) * (right - left);
                const int64_t value = plane[y * width + x];
                const int64_t above = value * static_cast<int64_t>(count) - sum;
                const int64_t magnitude = std::min(magnitude_of(above), kWordMagnitude);
                int16_t* to = out.data + (y * width + x) * out.pitch;
                to[axis] = signed_entry(table, static_cast<int64_t>(entries),
                                        magnitude * reciprocals[count] >> kWordShift, above < 0 ? -1 : 1);
                const int64_t raw = (value * factor + 32768) >> 16;
                to[3 + axis] = static_cast<int16_t>(std::clamp<int64_t>(raw, -32768, 32767));
            }
        }
    }
}

void add_corrections(const int16_t* corrections, size_t pitch, const int32_t* bands, const int64_t* steps,
                     int32_t* planes, size_t channels, size_t cells, int32_t limit, size_t threads) {
    const size_t blocks = (cells + kBlock - 1) / kBlock;
    in_parts(blocks, threads, kSmallestBlocks, [&](size_t first, size_t last) {
        for (size_t block = first; block < last; ++block) {
            const size_t begin = block * kBlock, end = std::min(cells, begin + kBlock);
            for (size_t channel = 0; channel < channels; ++channel) {
                const int16_t* from = corrections + bands[channel];
                int32_t* to = planes + channel * cells;
                const int64_t step = steps[bands[channel]];
                for (size_t cell = begin; cell < end; ++cell) {
                    const int64_t change = (from[cell * pitch] * step + (int64_t{1} << (kCorrectionShift - 1))) >>
                                           kCorrectionShift;
                    to[cell] = static_cast<int32_t>(std::clamp<int64_t>(to[cell] + change, -limit, limit));
                }
            }
        }
    });
}

void to_cells(const int32_t* low, float low_unit, const int32_t* bands, const float* units, size_t cells,
              size_t channels, float* out, size_t threads) {
    constexpr size_t kTogether = 32;  // cells whose latents stay in the fastest cache while they are gathered
    in_parts((cells + kTogether - 1) / kTogether, threads, kSmallestGroups, [&](size_t first, size_t last) {
        for (size_t at = first * kTogether; at < std::min(cells, last * kTogether); at += kTogether) {
            const size_t count = std::min(kTogether, cells - at);
            for (size_t c = 0; c < channels; ++c) {
                const int32_t* from = (c < 3 ? low + c * cells : bands + (c - 3) * cells) + at;
                const float unit = c < 3 ? low_unit : units[c - 3];
                float* to = out + at * channels + c;
                for (size_t i = 0; i < count; ++i) to[i * channels] = static_cast<float>(from[i]) * unit;
            }
        }
    });
}

}  // namespace tessera
