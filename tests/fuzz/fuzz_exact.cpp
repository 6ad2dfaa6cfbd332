// Fuzz target of the exact transform: every path and number of threads must give the same integers, samples and pixels
// must come back, and no samples, bands, symbols or predictions may lead out of bounds or to undefined arithmetic.
// Aborts otherwise; the sanitizers see the rest. Built and run as fuzz_kernels.cpp.
//
// Input: byte 0: bits 0-1: 0 colours, 1 packet, 2 pyramid, 3 symbols and predictions; bit 2: gray, or no prediction;
// bit 3: every band, and samples that must come back; bit 4: a large picture. Byte 1: not used. Bytes 2-3: height and
// width. Then numbers, 4 bytes each, repeated.
#include "exact.hpp"

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "exact_loops.hpp"
#include "fuzz_input.hpp"

namespace {

constexpr int32_t kTame = 255;  // samples up to here reach no clamp

template <typename T>
std::vector<T> numbers(const Input& input, size_t count, int32_t limit) {
    std::vector<T> out(count);
    for (size_t i = 0; i < count; ++i) {
        const int32_t value = input.integer(i);
        out[i] = static_cast<T>(limit == 0 ? value : value % (limit + 1));
    }
    return out;
}

void check_colours(const Input& input, const Frame& frame) {
    std::vector<uint8_t> pixels(frame.height * frame.width * frame.channels);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(input.word(i) >> 3);
    const size_t samples = 3 * 64 * frame.rows() * frame.columns();
    const auto back = [&](const std::vector<int16_t>& planes) {
        return agreed("two ways to make pixels differ", [&](const Kernels& kernels, size_t threads) {
            std::vector<uint8_t> out(pixels.size());
            exact_pixels(frame, planes.data(), out.data(), threads, kernels);
            return out;
        });
    };
    const auto planes = agreed("two ways to make planes differ", [&](const Kernels& kernels, size_t threads) {
        std::vector<int16_t> out(samples);
        exact_planes(frame, pixels.data(), out.data(), threads, kernels);
        return out;
    });
    for (int16_t v : planes) {
        if (v < -kSampleLimit || v > kSampleLimit) fail("a sample is out of range");
    }
    if (back(planes) != pixels) fail("pixels do not come back");
    back(numbers<int16_t>(input, samples, 0));
}

std::vector<int16_t> synthesised(const std::vector<const int32_t*>& bands, size_t rows, size_t columns) {
    return agreed("two ways to synthesise differ", [&](const Kernels& kernels, size_t threads) {
        std::vector<int16_t> out(3 * 64 * rows * columns);
        exact_synthesise(bands.data(), rows, columns, out.data(), threads, kernels);
        return out;
    });
}

void check_packet(const Input& input, size_t rows, size_t columns) {
    const size_t cells = rows * columns;
    const bool all = input.shorter();
    const auto kept = [&](size_t band) { return all || input.word(band) & 256; };
    const auto planes = numbers<int16_t>(input, 3 * 64 * cells, all ? kTame : 0);
    const auto bands = agreed("two ways to analyse differ", [&](const Kernels& kernels, size_t threads) {
        std::vector<int32_t> out(kBands * cells, 0);
        std::vector<int32_t*> to(kBands, nullptr);
        for (size_t i = 0; i < kBands; ++i) to[i] = kept(i) ? &out[i * cells] : nullptr;
        exact_analyse(planes.data(), rows, columns, to.data(), threads, kernels);
        return out;
    });
    const auto hostile = numbers<int32_t>(input, kBands * cells, 0);
    std::vector<const int32_t*> good(kBands, nullptr), bad(kBands, nullptr);
    for (size_t i = 0; i < kBands; ++i) {
        if (bands[i * cells] < -kHintLimit || bands[i * cells] > kHintLimit) fail("a band leaves the range");
        if (!kept(i)) continue;
        good[i] = &bands[i * cells];
        bad[i] = &hostile[i * cells];
    }
    if (synthesised(good, rows, columns) != planes && all) fail("samples do not come back");
    synthesised(bad, rows, columns);
}

void check_pyramid(const Input& input, size_t height, size_t width) {
    const size_t cells = ((height + 1) / 2) * ((width + 1) / 2);
    typedef std::pair<std::vector<int32_t>, std::vector<int32_t>> Level;
    const auto apart = [&](const std::vector<int32_t>& plane) {
        return agreed("two ways to split differ", [&](const Kernels& kernels, size_t) {
            Level out{std::vector<int32_t>(cells), std::vector<int32_t>(3 * cells)};
            exact_split(plane.data(), height, width, out.first.data(), out.second.data(), kernels);
            return out;
        });
    };
    const auto together = [&](const Level& level) {
        return agreed("two ways to merge differ", [&](const Kernels& kernels, size_t) {
            std::vector<int32_t> out(height * width);
            exact_merge(level.first.data(), level.second.data(), height, width, out.data(), kernels);
            return out;
        });
    };
    const auto plane = numbers<int32_t>(input, height * width, kSampleLimit);
    if (together(apart(plane)) != plane) fail("a plane does not come back");
    apart(numbers<int32_t>(input, height * width, 0));
    together({numbers<int32_t>(input, cells, 0), numbers<int32_t>(input, 3 * cells, 0)});
}

void check_numbers(const Input& input, size_t rows, size_t columns) {
    const size_t bands = 1 + input.data[1] % 40, cells = rows * columns;
    const auto symbols = numbers<int32_t>(input, bands * cells, 0);
    std::vector<int32_t> prediction(bands * cells);
    for (size_t i = 0; i < prediction.size(); ++i) prediction[i] = input.integer(i + 5);
    const int32_t* known = input.less() ? nullptr : prediction.data();
    std::vector<int64_t> steps(bands), reciprocals(bands);
    std::vector<float> inverse(bands);
    for (size_t i = 0; i < bands; ++i) {
        const uint64_t w = uint64_t{input.word(i)} << 32 | input.word(i + 9);
        steps[i] = w % 5 ? 1 + static_cast<int64_t>(w >> (33 + w % 24)) : std::numeric_limits<int32_t>::max();
        reciprocals[i] = static_cast<int64_t>(w >> (24 + w % 40));
        inverse[i] = static_cast<float>(1 + w % 1000) / 64.0f;
    }
    const auto values = agreed("two ways to restore differ", [&](const Kernels& kernels, size_t threads) {
        std::vector<int32_t> out(bands * cells);
        restore(symbols.data(), steps.data(), known, bands, cells, out.data(), threads, kernels);
        return out;
    });
    const auto heard = agreed("two ways to hint differ", [&](const Kernels& kernels, size_t threads) {
        std::vector<int32_t> out(bands * cells);
        hints(prediction.data(), reciprocals.data(), bands, cells, out.data(), threads, kernels);
        return out;
    });
    for (size_t i = 0; i < values.size(); ++i) {
        if (values[i] < -kBandLimit || values[i] > kBandLimit) fail("a latent is out of range");
        if (heard[i] < 0 || heard[i] > 255) fail("a hint is out of range");
    }
    agreed("two ways to scale residuals differ", [&](const Kernels& kernels, size_t threads) {
        std::vector<float> out(bands * cells);
        scaled_residual(symbols.data(), known, inverse.data(), bands, rows, columns, out.data(), threads, kernels);
        return bits_of(out);
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 4) return 0;
    const Input input{data, size};
    if (input.kind() == 0) {
        check_colours(input, {input.side(0, 40, 256), input.side(1, 40, 256), input.less() ? size_t{1} : size_t{3}});
    } else if (input.kind() == 1) {
        check_packet(input, input.side(0, 6, 24), input.side(1, 6, 40));
    } else if (input.kind() == 2) {
        check_pyramid(input, input.side(0, 20, 90), input.side(1, 20, 90));
    } else {
        check_numbers(input, input.side(0, 20, 60), input.side(1, 20, 60));
    }
    return 0;
}

#ifdef TESSERA_FUZZ_MAIN
// Once with samples that must come back.
void run_random(Random& random) { feed(random, {600, 0xe4, true, false}, {0, 1, 2, 3, 8, 9, 10, 11}); }
#endif
