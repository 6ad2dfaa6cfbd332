// numpy buffers to what moves details before they are rounded, checked as in bindings.cpp.
#include <cmath>

#include "bindings.hpp"
#include "moves.hpp"

namespace tessera {
namespace {

// Details of the first levels of a picture that `rows` x `columns` cells cover.
std::vector<CutLevel> levels_of(const std::vector<Array<int32_t>>& details, size_t rows, size_t columns) {
    if (details.empty() || details.size() > kMovedLevels) throw std::invalid_argument("there must be 1 to 3 levels");
    std::vector<CutLevel> levels;
    for (size_t at = 0; at < details.size(); ++at) {
        const size_t most = kCell >> (at + 1);
        const bool fits = details[at].ndim() == 3 && details[at].shape(0) == static_cast<py::ssize_t>(kDyadicBands);
        if (!fits) throw std::invalid_argument("details must be (9, height, width)");
        const auto height = static_cast<size_t>(details[at].shape(1)), width = static_cast<size_t>(details[at].shape(2));
        if (height > rows * most || width > columns * most) throw std::invalid_argument("details pass their cells");
        levels.push_back({height, width, details[at].data()});
    }
    return levels;
}

template <typename T>
std::vector<const T*> factors_of(const std::vector<Array<T>>& factors, size_t levels) {
    if (factors.size() != levels) throw std::invalid_argument("there must be factors of every level");
    std::vector<const T*> found;
    for (const Array<T>& of : factors) {
        expect(of, {kDyadicBands}, "factors");
        for (size_t k = 0; k < kDyadicBands; ++k) {
            if (!std::isfinite(of.data()[k]) || std::abs(of.data()[k]) > T{1 << 16})
                throw std::invalid_argument("a factor is out of range");
        }
        found.push_back(of.data());
    }
    return found;
}

void remainders(const std::vector<Array<int32_t>>& details, const std::vector<Array<int32_t>>& symbols,
                const std::vector<Array<float>>& inverses, float factor, int16_t limit, Array<int16_t> out,
                py::ssize_t first, py::ssize_t threads, const PathName& path) {
    if (out.ndim() != 3) throw std::invalid_argument("out must be (height, width, channels)");
    const auto rows = static_cast<size_t>(out.shape(0)), columns = static_cast<size_t>(out.shape(1)),
               channels = static_cast<size_t>(out.shape(2));
    const std::vector<CutLevel> levels = levels_of(details, rows, columns);
    const std::vector<const float*> of = factors_of(inverses, levels.size());
    if (symbols.size() != levels.size()) throw std::invalid_argument("there must be symbols of every level");
    std::vector<const int32_t*> known;
    for (size_t at = 0; at < levels.size(); ++at) {
        expect(symbols[at], {kDyadicBands, levels[at].height, levels[at].width}, "symbols");
        known.push_back(symbols[at].data());
    }
    if (first < 0 || static_cast<size_t>(first) + moved_channels(levels.size()) > channels)
        throw std::invalid_argument("out has too few channels");
    if (!std::isfinite(factor) || limit < 0) throw std::invalid_argument("factor or limit is out of range");
    const Cells to{out.mutable_data() + first, rows * columns, channels};
    const Kernels& kernels = kernels_of(path);
    const py::gil_scoped_release unlocked;
    describe_remainders(levels, known, of, factor, limit, rows, columns, to, threads_of(threads), kernels);
}

py::list moved(const std::vector<Array<int32_t>>& details, const std::vector<Array<double>>& factors,
               const Array<int16_t>& moves, int16_t limit, py::ssize_t threads, const PathName& path) {
    if (moves.ndim() != 3) throw std::invalid_argument("moves must be (height, width, channels)");
    const auto rows = static_cast<size_t>(moves.shape(0)), columns = static_cast<size_t>(moves.shape(1));
    const std::vector<CutLevel> levels = levels_of(details, rows, columns);
    const std::vector<const double*> of = factors_of(factors, levels.size());
    expect(moves, {rows, columns, moved_channels(levels.size())}, "moves");
    if (limit < 0) throw std::invalid_argument("limit is out of range");
    py::list found;
    std::vector<int32_t*> out;
    for (const CutLevel& level : levels) {
        Array<int32_t> made = kept_array<int32_t>({kDyadicBands, level.height, level.width});
        out.push_back(made.mutable_data());
        found.append(made);
    }
    const Kernels& kernels = kernels_of(path);
    const py::gil_scoped_release unlocked;
    move_details(levels, of, limit, rows, columns, moves.data(), out, threads_of(threads), kernels);
    return found;
}

}  // namespace

void bind_moves(py::module_& module) {
    using py::arg;
    module.def("describe_remainders", &remainders, arg("details"), arg("symbols"), arg("inverses"), arg("factor"),
               arg("limit"), arg("out").noconvert(), arg("first"), arg("threads") = 1, arg("path") = py::none(),
               "What rounding left of details, times `factor`, cell by cell; see moves.hpp.");
    module.def("moved", &moved, arg("details"), arg("factors"), arg("moves").noconvert(), arg("limit"),
               arg("threads") = 1, arg("path") = py::none(), "Details with moves (height, width, channels) times factors.");
}

}  // namespace tessera
