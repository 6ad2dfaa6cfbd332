#include "words.hpp"

#include <algorithm>

#include "threads.hpp"

namespace tessera {
namespace {

constexpr size_t kBlock = 256;  // cells whose channels stay in the cache; less of a plane at once is read slowly
constexpr size_t kSmallestBlocks = 2;  // fewer blocks are not worth a thread

constexpr size_t kTogether = 32;  // channels that are described before they are turned
constexpr size_t kNumbersTogether = 16;

// row(channel, first cell, count, words) of every channel, block by block, turned into cells.
template <typename Row>
void fill(size_t channels, Cells out, size_t threads, const Kernels& kernels, const Row& row) {
    const size_t blocks = (out.count + kBlock - 1) / kBlock;
    in_parts(blocks, threads, kSmallestBlocks, [&](size_t first, size_t last) {
        alignas(64) int16_t rows[kTogether * kBlock];
        for (size_t block = first; block < last; ++block) {
            const size_t begin = block * kBlock, count = std::min(out.count - begin, kBlock);
            for (size_t channel = 0; channel < channels; channel += kTogether) {
                const size_t some = std::min(kTogether, channels - channel);
                for (size_t k = 0; k < some; ++k) row(channel + k, begin, count, rows + k * kBlock);
                kernels.words.turn(rows, kBlock, some, count, out.data + begin * out.pitch + channel, out.pitch);
            }
        }
    });
}

int16_t signed_entry(const int16_t* table, int64_t entries, int64_t magnitude, int64_t value) {
    const int16_t found = table[std::min(magnitude, entries - 1)];
    return value < 0 ? static_cast<int16_t>(-found) : found;
}

int64_t magnitude_of(int64_t value) { return value < 0 ? -value : value; }

}  // namespace

void describe_integers(const int32_t* values, size_t channels, const int16_t* table, size_t entries, Cells out,
                       size_t threads, const Kernels& kernels) {
    fill(channels, out, threads, kernels, [&](size_t channel, size_t first, size_t count, int16_t* words) {
        kernels.words.of_integers(values + channel * out.count + first, count, table, entries, words);
    });
}

void describe_bytes(const uint8_t* values, size_t channels, const int16_t* table, Cells out, size_t threads,
                    const Kernels& kernels) {
    fill(channels, out, threads, kernels, [&](size_t channel, size_t first, size_t count, int16_t* words) {
        const uint8_t* from = values + channel * out.count + first;
        for (size_t i = 0; i < count; ++i) words[i] = table[from[i]];
    });
}

void describe_scaled(const int32_t* values, size_t channels, const int64_t* reciprocals, const int16_t* table,
                     size_t entries, Cells out, size_t threads, const Kernels& kernels) {
    fill(channels, out, threads, kernels, [&](size_t channel, size_t first, size_t count, int16_t* words) {
        const int32_t* from = values + channel * out.count + first;
        kernels.words.of_scaled(from, reciprocals[channel], count, table, entries, words);
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

void add_corrections(const int16_t* corrections, size_t pitch, const int64_t* steps,
                     const std::vector<Correction>& planes, size_t cells, size_t threads, const Kernels& kernels) {
    const size_t blocks = (cells + kBlock - 1) / kBlock;
    in_parts(blocks, threads, kSmallestBlocks, [&](size_t first, size_t last) {
        std::vector<int16_t> rows(pitch * kBlock);
        for (size_t block = first; block < last; ++block) {
            const size_t begin = block * kBlock, count = std::min(cells - begin, kBlock);
            kernels.words.turn(corrections + begin * pitch, pitch, count, pitch, rows.data(), kBlock);
            for (const Correction& plane : planes) {
                kernels.words.correct(rows.data() + plane.band * kBlock, steps[plane.band],
                                      plane.from == nullptr ? nullptr : plane.from + begin, count, plane.out + begin);
            }
        }
    });
}

void to_cells(const int32_t* low, float low_unit, const int32_t* bands, const float* units, size_t cells,
              size_t channels, float* out, size_t threads, const Kernels& kernels) {
    in_parts((cells + kBlock - 1) / kBlock, threads, kSmallestBlocks, [&](size_t first, size_t last) {
        std::vector<float> rows(kNumbersTogether * kBlock);
        for (size_t at = first * kBlock; at < std::min(cells, last * kBlock); at += kBlock) {
            const size_t count = std::min(kBlock, cells - at);
            for (size_t channel = 0; channel < channels; channel += kNumbersTogether) {
                const size_t some = std::min(kNumbersTogether, channels - channel);
                for (size_t c = channel; c < channel + some; ++c) {
                    const int32_t* from = (c < 3 ? low + c * cells : bands + (c - 3) * cells) + at;
                    const float unit = c < 3 ? low_unit : units[c - 3];
                    float* to = rows.data() + (c - channel) * kBlock;
                    for (size_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]) * unit;
                }
                kernels.words.turn_numbers(rows.data(), kBlock, some, count, out + at * channels + channel, channels);
            }
        }
    });
}

}  // namespace tessera
