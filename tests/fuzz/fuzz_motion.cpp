// Fuzz target of motion compensation and search: every path and number of threads must give the same integers, and no
// vectors, modes or guesses may lead out of bounds or to undefined arithmetic. Aborts otherwise; the sanitizers see the
// rest. Built and run as fuzz_kernels.cpp is.
//
// Input: byte 0: bits 0-1: 0 compensate, 1 search, 2 decide, 3 compensate without modes; bit 2: blocks of 16; bit 3: one
// reference, or no guess; bit 4: a large picture; bit 5: smooth pictures and fields. Byte 1: seed. Bytes 2-3: height and
// width in eighths. Then vectors: 2 bytes each, repeated.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "motion.hpp"
#include "motion_loops.hpp"
#include "search.hpp"

#include "fuzz.hpp"

using namespace tessera;

namespace {

struct Input {
    const uint8_t* data;
    size_t size;

    int kind() const { return data[0] & 3; }
    size_t block() const { return data[0] & 4 ? 16 : 8; }
    bool less() const { return data[0] & 8; }
    bool smooth() const { return data[0] & 32; }
    size_t side(size_t axis) const { return 8 * size_t{1u + data[2 + axis] % (data[0] & 16 ? 24u : 6u)}; }

    int16_t vector(size_t i) const {
        if (smooth()) i = i / 8 * 2 + i % 2;
        uint32_t value = static_cast<uint32_t>(i) * 40503u;  // so that repeated bytes are not repeated vectors
        for (size_t k = 0; k < 2 && size > 4; ++k) value ^= uint32_t{data[4 + (2 * i + k) % (size - 4)]} << 8 * k;
        const auto all = static_cast<int16_t>(value);
        return static_cast<int16_t>(value >> 16 & 3 ? all >> 9 : all);
    }
};

std::vector<int16_t> make_samples(Random& random, size_t count, bool smooth) {
    std::vector<int16_t> samples(count);
    int level = 0;
    for (int16_t& sample : samples) {
        if (!smooth || random(64) == 0) level = static_cast<int>(random(8191)) - kLargestSample;
        sample = static_cast<int16_t>(level);
    }
    return samples;
}

std::vector<int16_t> make_fields(const Input& input, size_t count) {
    std::vector<int16_t> fields(count);
    for (size_t i = 0; i < count; ++i) fields[i] = input.vector(i);
    return fields;
}

void check_compensation(const Input& input) {
    Random random{uint64_t{input.data[1]} + 1};
    Motion motion{};
    motion.height = input.side(0);
    motion.width = input.side(1);
    motion.block = input.block();
    motion.references = input.less() ? 1 : 2;
    const size_t blocks = motion.rows() * motion.columns(), count = 3 * motion.height * motion.width;
    std::vector<int16_t> planes[2];
    for (size_t r = 0; r < motion.references; ++r) {
        planes[r] = make_samples(random, count, input.smooth());
        motion.planes[r] = planes[r].data();
    }
    const std::vector<int16_t> fields = make_fields(input, 2 * motion.references * blocks);
    motion.fields = fields.data();
    std::vector<uint8_t> modes(blocks);
    for (uint8_t& mode : modes) mode = static_cast<uint8_t>(input.less() ? 0 : random(3));
    if (input.kind() == 0) motion.modes = modes.data();
    const auto out = agreed("two ways to compensate differ", [&](const Kernels& kernels, size_t threads) {
        std::vector<int16_t> samples(count);
        compensate(motion, samples.data(), threads, kernels);
        return samples;
    });
    for (int16_t sample : out) {
        if (std::abs(sample) > kLargestSample) fail("a sample is out of range");
    }
}

void check_search(const Input& input) {
    Random random{uint64_t{input.data[1]} + 1};
    MotionSearch motion{};
    motion.height = input.side(0);
    motion.width = input.side(1);
    motion.block = input.block();
    motion.references = input.kind() == 1 ? 1 : 2;
    const size_t blocks = motion.rows() * motion.columns(), count = motion.height * motion.width;
    std::vector<int16_t> planes[3];
    for (auto& plane : planes) plane = make_samples(random, count, input.smooth());
    motion.current = planes[0].data();
    for (size_t r = 0; r < motion.references; ++r) motion.planes[r] = planes[1 + r].data();
    motion.price = static_cast<float>(random(300));
    motion.knee = static_cast<int16_t>(1 + random(kLargestKnee));
    const std::vector<int16_t> guess = make_fields(input, 2 * motion.references * blocks);
    const size_t radius = random(100);
    const auto found = agreed("two ways to search differ", [&](const Kernels& kernels, size_t threads) {
        std::vector<int16_t> all = guess;
        if (motion.references == 1) {
            search(motion, input.less() ? nullptr : guess.data(), radius, all.data(), threads, kernels);
            return all;
        }
        std::vector<uint8_t> modes(blocks);
        decide(motion, input.less() ? nullptr : guess.data(), all.data(), modes.data(), threads, kernels);
        for (uint8_t mode : modes) {
            if (mode > 2) fail("a mode is out of range");
            all.push_back(mode);
        }
        return all;
    });
    for (int16_t component : found) {
        if (std::abs(component) > kLongestVector) fail("a vector is out of range");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 4) return 0;
    const Input input{data, size};
    if (input.kind() % 3 == 0) {
        check_compensation(input);
    } else {
        check_search(input);
    }
    return 0;
}

#ifdef TESSERA_FUZZ_MAIN
void run_random(Random& random) { feed(random, {200, 0xec, true, false}, {0, 1, 2, 3}); }
#endif
