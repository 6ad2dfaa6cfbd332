// The paths that kernels are written for, which of them this processor runs, and the choice of one by name. Every table
// of kernels of every extension goes through this file; no other one tests what the processor can do.
//
// A PATH is a set of instructions. A TABLE OF KERNELS is a struct of function pointers, one field a kernel, with a
// `Path path` first; there is one table a path, not necessarily for every path. To add
//     a kernel: declare its field, set it with TESSERA_SET where the table is made: a field without a function is found
//         when the module is loaded, a function without a field does not compile;
//     a path: add it to `Path` and `kPathNames`, say in `runs` what it needs, write a table for whatever gains by it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

// -DTESSERA_X86=0 leaves the vector paths out, as on other processors and compilers.
#if !defined(TESSERA_X86)
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define TESSERA_X86 1
#else
#define TESSERA_X86 0
#endif
#endif

#if !defined(TESSERA_NEON)
#if defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
#define TESSERA_NEON 1
#else
#define TESSERA_NEON 0
#endif
#endif

// Sets the field of a table to the function of the same name: two of one type cannot be mistaken for each other.
#define TESSERA_SET(table, name) (table).name = name

namespace tessera {

// Slowest first; of one kind of processors, a path has the instructions of those before it. As large as a pointer and
// never 0, so that `Dispatch` sees whether it is set.
enum class Path : uintptr_t { scalar = 1, avx2, avx512, avx512_vnni, neon };

constexpr const char* kPathNames[] = {"scalar", "avx2", "avx512", "avx512-vnni", "neon"};
constexpr size_t kPaths = sizeof kPathNames / sizeof *kPathNames;

constexpr Path path_at(size_t place) { return static_cast<Path>(place + 1); }

inline const char* name_of(Path path) { return kPathNames[static_cast<size_t>(path) - 1]; }

// Whether this processor runs it. Kernels of a path may use what is asked for here, and nothing else.
inline bool runs(Path path) {
    switch (path) {
        case Path::scalar: return true;
#if TESSERA_X86
        case Path::avx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                                __builtin_cpu_supports("popcnt");
        case Path::avx512:
            return runs(Path::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("bmi2");
        case Path::avx512_vnni: return runs(Path::avx512) && __builtin_cpu_supports("avx512vnni");
#endif
#if TESSERA_NEON
        case Path::neon: return true;  // part of AArch64
#endif
        default: return false;
    }
}

// Whether this processor has an instruction for CRC-32C (SSE 4.2).
inline bool has_crc32c() {
#if TESSERA_X86
    return __builtin_cpu_supports("sse4.2");
#else
    return false;
#endif
}

// The last path that this processor runs.
inline Path fastest_path() {
    size_t place = kPaths - 1;
    while (!runs(path_at(place))) --place;  // ends at the scalar one
    return path_at(place);
}

// The path of a name; nullptr names the fastest. Throws std::invalid_argument when there is no such path or this
// processor does not run it.
inline Path path_of(const char* name) {
    if (name == nullptr) return fastest_path();
    std::string known;
    for (size_t i = 0; i < kPaths; ++i) {
        if (std::strcmp(name, kPathNames[i]) != 0) {
            known += (i == 0 ? "" : i + 1 == kPaths ? " or " : ", ") + std::string(kPathNames[i]);
        } else if (runs(path_at(i))) {
            return path_at(i);
        } else {
            throw std::invalid_argument("this processor does not run the path " + std::string(name));
        }
    }
    throw std::invalid_argument("path must be " + known + ", not " + name);
}

// The tables of one kind of kernels, checked once.
template <typename Table>
class Dispatch {
public:
    // Slowest first, the one for every processor in front. Throws std::logic_error, as a fault of the build, when a
    // field of one is not set or the order is another.
    explicit Dispatch(std::initializer_list<const Table*> tables) : tables_(tables) {
        if (tables_.empty() || tables_.front()->path != Path::scalar) throw std::logic_error("no scalar kernels");
        for (size_t i = 0; i < tables_.size(); ++i) {
            check_fields(*tables_[i]);
            if (i > 0 && tables_[i]->path <= tables_[i - 1]->path) throw std::logic_error("kernels out of order");
        }
    }

    // A path is the most that may be used: the last table up to the path of `name` (see path_of). So one name serves
    // kernels of several kinds, of which each has tables for the paths that it gains by.
    const Table& find(const char* name) const {
        const Path most = path_of(name);
        size_t place = tables_.size() - 1;
        while (tables_[place]->path > most || !runs(tables_[place]->path)) --place;  // ends at the scalar one
        return *tables_[place];
    }

    // Those that this processor runs, slowest first.
    std::vector<const Table*> available() const {
        std::vector<const Table*> found;
        for (const Table* table : tables_) {
            if (runs(table->path)) found.push_back(table);
        }
        return found;
    }

private:
    // Every field is as large as a pointer and not 0.
    static void check_fields(const Table& table) {
        static_assert(std::is_trivially_copyable<Table>::value && std::is_standard_layout<Table>::value,
                      "a table of kernels is a plain struct");
        static_assert(sizeof(Table) % sizeof(uintptr_t) == 0 && sizeof(void (*)()) == sizeof(uintptr_t),
                      "a table of kernels holds function pointers only");
        uintptr_t fields[sizeof(Table) / sizeof(uintptr_t)];
        std::memcpy(fields, &table, sizeof table);
        for (size_t i = 0; i < sizeof fields / sizeof *fields; ++i) {
            if (fields[i] == 0) {
                throw std::logic_error("field " + std::to_string(i) + " of the kernels of path " + name_of(table.path) +
                                       " is not set");
            }
        }
    }

    std::vector<const Table*> tables_;
};

}  // namespace tessera
