// What the fuzz targets share: chance, the paths of this processor, and a plain main where libFuzzer brings none.
// Comes after the header that declares the `Kernels` and the `dispatch` of the target.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <vector>

namespace {

struct Random {
    uint64_t state;
    uint32_t operator()(uint32_t below) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return static_cast<uint32_t>((state >> 33) % below);
    }
};

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

const std::vector<const tessera::Kernels*>& all_kernels() {
    static const std::vector<const tessera::Kernels*> found = tessera::dispatch().available();
    return found;
}

// What run(kernels, threads) returns, which must be the same for all.
template <typename Run>
auto agreed(const char* what, const Run& run) {
    const auto first = run(*all_kernels().front(), size_t{1});
    for (const tessera::Kernels* kernels : all_kernels()) {
        for (size_t threads : {1, 3}) {
            if (run(*kernels, threads) != first) fail(what);
        }
    }
    return first;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

#ifdef TESSERA_FUZZ_MAIN
namespace {

struct Feed {
    uint32_t most;  // bytes after the first four
    uint8_t kept;   // bits of the first byte that are left to chance
    bool large;     // one in eight is
    bool narrow;    // sides of 1 to 3 are as frequent as all others
};

// For inputs whose first byte names a kind: each of these kinds, with the same numbers behind it.
[[maybe_unused]] void feed(Random& random, const Feed& how, std::initializer_list<int> kinds) {
    std::vector<uint8_t> bytes(4 + random(how.most));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random(256));
    const bool large = how.large && random(8) == 0;
    for (size_t axis = 0; axis < 2 && how.narrow && !large; ++axis) {
        if (random(2)) bytes[2 + axis] = static_cast<uint8_t>(random(3));
    }
    for (const int kind : kinds) {
        bytes[0] = static_cast<uint8_t>((bytes[0] & how.kept) | (large ? 16 : 0) | kind);
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
}

}  // namespace

// Makes inputs at random and feeds the target with them; each target's own.
void run_random(Random& random);

// FILE...             feeds the target with each file
// --random COUNT SEED run_random so many times
int main(int argc, char** argv) {
    if (argc == 4 && std::strcmp(argv[1], "--random") == 0) {
        Random random{std::strtoull(argv[3], nullptr, 10)};
        for (long left = std::strtol(argv[2], nullptr, 10); left > 0; --left) run_random(random);
    } else {
        for (int i = 1; i < argc; ++i) {
            std::ifstream file(argv[i], std::ios::binary);
            if (!file) fail("cannot open a file of the corpus");
            const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
            LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
        }
    }
    std::puts("ok");
    return 0;
}
#endif
