// Tables of two kernels, whole and faulty ones: prints what `Dispatch` says of them. With -DWITHOUT_FUNCTION a field
// has no function, with -DOTHER_TYPE a function of another type: neither may compile.
#include "dispatch.hpp"

#include <cstdio>

using namespace tessera;

namespace {

struct Kernels {
    Path path;
    int (*twice)(int);
    int (*half)(int);
#if defined(WITHOUT_FUNCTION) || defined(OTHER_TYPE)
    int (*third)(int);
#endif
};

int twice(int x) { return 2 * x; }
int half(int x) { return x / 2; }
#ifdef OTHER_TYPE
int third(long x) { return static_cast<int>(x / 3); }
#endif

constexpr Kernels make_kernels(Path path, bool whole) {
    Kernels kernels{};
    kernels.path = path;
    TESSERA_SET(kernels, twice);
    if (whole) TESSERA_SET(kernels, half);
#if defined(WITHOUT_FUNCTION) || defined(OTHER_TYPE)
    TESSERA_SET(kernels, third);
#endif
    return kernels;
}

constexpr Kernels kScalar = make_kernels(Path::scalar, true), kLast = make_kernels(path_at(kPaths - 1), true),
                  kFaulty = make_kernels(Path::scalar, false), kNameless = make_kernels(Path{}, true);

void show(std::initializer_list<const Kernels*> tables) {
    try {
        const Dispatch<Kernels> dispatch(tables);
        std::printf("%zu of %zu run; fastest %s, at most scalar %s\n", dispatch.available().size(), tables.size(),
                    name_of(dispatch.find(nullptr).path), name_of(dispatch.find("scalar").path));
    } catch (const std::logic_error& error) {
        std::puts(error.what());
    }
}

}  // namespace

int main() {
    show({&kScalar});
    show({&kFaulty});
    show({&kNameless});
    show({&kLast});
    show({&kScalar, &kScalar});
    show({});
    try {
        path_of("sse9");
    } catch (const std::invalid_argument& error) {
        std::puts(error.what());
    }
    for (const char* name : kPathNames) {
        try {
            std::printf("%s: %s\n", name, name_of(path_of(name)));
        } catch (const std::invalid_argument& error) {
            std::printf("%s: %s\n", name, error.what());
        }
    }
}
