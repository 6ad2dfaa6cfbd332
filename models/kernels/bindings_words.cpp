// numpy buffers to the words of networks, checked as in bindings.cpp.
#include "bindings.hpp"
#include "exact_loops.hpp"
#include "words.hpp"

namespace tessera {
namespace {

template <typename T>
size_t extent(const Array<T>& array, size_t axis) {
    return static_cast<size_t>(array.shape(static_cast<py::ssize_t>(axis)));
}

// Channels first .. first + count - 1 of `out` (height, width, channels), whose cells are those of `values`.
template <typename T>
Cells cells_of(Array<int16_t>& out, const Array<T>& values, py::ssize_t first, size_t count) {
    if (values.ndim() != 3) throw std::invalid_argument("values must be (channels, height, width)");
    if (out.ndim() != 3 || extent(out, 0) != extent(values, 1) || extent(out, 1) != extent(values, 2))
        throw std::invalid_argument("out must be (height, width, channels) of the cells of values");
    if (first < 0 || static_cast<size_t>(first) + count > extent(out, 2))
        throw std::invalid_argument("out has too few channels");
    return {out.mutable_data() + first, extent(out, 0) * extent(out, 1), extent(out, 2)};
}

void expect_table(const Array<int16_t>& table) {
    if (table.ndim() != 1 || table.size() < 1) throw std::invalid_argument("table must be 1-D");
}

void expect_reciprocals(const Array<int64_t>& reciprocals, size_t count) {
    expect(reciprocals, {count}, "reciprocals");
    for (size_t i = 0; i < count; ++i) {
        if (reciprocals.data()[i] < 0 || reciprocals.data()[i] > kWordReciprocal)
            throw std::invalid_argument("a reciprocal is out of range");
    }
}

void integers(const Array<int32_t>& values, const Array<int16_t>& table, Array<int16_t> out, py::ssize_t first,
              py::ssize_t threads, const PathName& path) {
    expect_table(table);
    const Cells cells = cells_of(out, values, first, extent(values, 0));
    const int32_t* from = values.data();
    const Kernels& kernels = kernels_of(path);
    const py::gil_scoped_release unlocked;
    describe_integers(from, extent(values, 0), table.data(), static_cast<size_t>(table.size()), cells,
                      threads_of(threads), kernels);
}

void bytes(const Array<uint8_t>& values, const Array<int16_t>& table, Array<int16_t> out, py::ssize_t first,
           py::ssize_t threads, const PathName& path) {
    expect(table, {256}, "table");
    const Cells cells = cells_of(out, values, first, extent(values, 0));
    const uint8_t* from = values.data();
    const Kernels& kernels = kernels_of(path);
    const py::gil_scoped_release unlocked;
    describe_bytes(from, extent(values, 0), table.data(), cells, threads_of(threads), kernels);
}

void scaled(const Array<int32_t>& values, const Array<int64_t>& reciprocals, const Array<int16_t>& table,
            Array<int16_t> out, py::ssize_t first, py::ssize_t threads, const PathName& path) {
    expect_table(table);
    const Cells cells = cells_of(out, values, first, extent(values, 0));
    expect_reciprocals(reciprocals, extent(values, 0));
    const int32_t* from = values.data();
    const Kernels& kernels = kernels_of(path);
    const py::gil_scoped_release unlocked;
    describe_scaled(from, extent(values, 0), reciprocals.data(), table.data(), static_cast<size_t>(table.size()), cells,
                    threads_of(threads), kernels);
}

void low(const Array<int32_t>& values, const Array<int64_t>& reciprocals, const Array<int16_t>& table, int32_t factor,
         Array<int16_t> out, py::ssize_t first) {
    expect_table(table);
    const Cells cells = cells_of(out, values, first, 6);
    if (extent(values, 0) != 3) throw std::invalid_argument("values must have three planes");
    expect_reciprocals(reciprocals, 10);
    const int32_t* from = values.data();
    const py::gil_scoped_release unlocked;
    describe_low(from, extent(values, 1), extent(values, 2), reciprocals.data(), table.data(),
                 static_cast<size_t>(table.size()), factor, cells);
}

// Checks steps (bands,) and corrections (height, width, bands) of cells (height, width).
void expect_corrections(const Array<int16_t>& corrections, size_t height, size_t width, const Array<int64_t>& steps) {
    if (corrections.ndim() != 3 || extent(corrections, 0) != height || extent(corrections, 1) != width)
        throw std::invalid_argument("corrections must be (height, width, bands) of the cells of planes");
    expect(steps, {extent(corrections, 2)}, "steps");
    for (py::ssize_t i = 0; i < steps.size(); ++i) {
        if (steps.data()[i] < 0 || steps.data()[i] > int64_t{1} << 40)
            throw std::invalid_argument("a step is out of range");
    }
}

void correct(Array<int32_t> planes, const Array<int16_t>& corrections, const Array<int32_t>& bands,
             const Array<int64_t>& steps, py::ssize_t threads, const PathName& path) {
    if (planes.ndim() != 3) throw std::invalid_argument("planes must be (bands, height, width)");
    expect_corrections(corrections, extent(planes, 1), extent(planes, 2), steps);
    expect(bands, {extent(planes, 0)}, "bands");
    const size_t cells = extent(planes, 1) * extent(planes, 2);
    std::vector<Correction> all;
    for (size_t i = 0; i < extent(planes, 0); ++i) {
        const int32_t band = bands.data()[i];
        if (band < 0 || static_cast<size_t>(band) >= extent(corrections, 2))
            throw std::invalid_argument("bands names a band that does not exist");
        int32_t* plane = planes.mutable_data() + i * cells;
        all.push_back({plane, plane, static_cast<size_t>(band)});
    }
    const Kernels& kernels = kernels_of(path);
    const py::gil_scoped_release unlocked;
    add_corrections(corrections.data(), extent(corrections, 2), steps.data(), all, cells, threads_of(threads), kernels);
}

// Kept packet bands and low bands with the corrections of all kBands: (the others (kBands - 3, ..), low bands (3, ..)).
py::tuple corrected(const Array<int32_t>& packet, const Array<int32_t>& order, const Array<int32_t>& low,
                    const Array<int16_t>& corrections, const Array<int64_t>& steps, py::ssize_t threads,
                    const PathName& path) {
    if (packet.ndim() != 3) throw std::invalid_argument("packet must be (bands, height, width)");
    const size_t height = extent(packet, 1), width = extent(packet, 2), cells = height * width;
    expect(order, {extent(packet, 0)}, "order");
    expect(low, {3, height, width}, "low");
    expect(corrections, {height, width, kBands}, "corrections");
    expect_corrections(corrections, height, width, steps);
    Array<int32_t> every = kept_array<int32_t>({kBands - 3, height, width}),
                   lows = kept_array<int32_t>({3, height, width});
    std::vector<Correction> all;
    for (size_t band = 0, at = 0; band < kBands; ++band) {
        const size_t axis = band / 64;
        if (band % 64 == 0) {
            all.push_back({low.data() + axis * cells, lows.mutable_data() + axis * cells, band});
        } else {
            all.push_back({nullptr, every.mutable_data() + at++ * cells, band});
        }
    }
    for (size_t i = 0; i < extent(packet, 0); ++i) {
        const int32_t band = order.data()[i];
        if (band < 0 || static_cast<size_t>(band) >= kBands || band % 64 == 0)
            throw std::invalid_argument("order names a low band, or a band that does not exist");
        all[static_cast<size_t>(band)].from = packet.data() + i * cells;
    }
    const Kernels& kernels = kernels_of(path);
    {
        const py::gil_scoped_release unlocked;
        add_corrections(corrections.data(), kBands, steps.data(), all, cells, threads_of(threads), kernels);
    }
    return py::make_tuple(every, lows);
}

// Channels of `out` (height, width, channels), all of them or the first.
void latents(const Array<int32_t>& low, float low_unit, const Array<int32_t>& bands, const Array<float>& units,
             Array<float> out, py::ssize_t threads, const PathName& path) {
    if (bands.ndim() != 3) throw std::invalid_argument("bands must be (bands, height, width)");
    expect(low, {3, extent(bands, 1), extent(bands, 2)}, "low");
    expect(units, {extent(bands, 0)}, "units");
    if (out.ndim() != 3 || extent(out, 0) != extent(bands, 1) || extent(out, 1) != extent(bands, 2) ||
        extent(out, 2) > 3 + extent(bands, 0)) {
        throw std::invalid_argument("out must be (height, width, channels) of the cells and bands there are");
    }
    float* to = out.mutable_data();
    const size_t cells = extent(out, 0) * extent(out, 1), channels = extent(out, 2);
    const Kernels& kernels = kernels_of(path);
    const py::gil_scoped_release unlocked;
    to_cells(low.data(), low_unit, bands.data(), units.data(), cells, channels, to, threads_of(threads), kernels);
}

}  // namespace

void bind_words(py::module_& module) {
    module.def("to_cells", &latents, py::arg("low").noconvert(), py::arg("low_unit"), py::arg("bands").noconvert(),
               py::arg("units").noconvert(), py::arg("out").noconvert(), py::arg("threads") = 1, py::arg("path") = py::none());
    using py::arg;
    module.def("describe_integers", &integers, arg("values").noconvert(), arg("table").noconvert(),
               arg("out").noconvert(), arg("first"), arg("threads") = 1, arg("path") = py::none(),
               "Channels of `out` from `first` on: table[|value|] with the value's sign; see words.hpp.");
    module.def("describe_bytes", &bytes, arg("values").noconvert(), arg("table").noconvert(), arg("out").noconvert(),
               arg("first"), arg("threads") = 1, arg("path") = py::none(), "The same of table[value].");
    module.def("describe_scaled", &scaled, arg("values").noconvert(), arg("reciprocals").noconvert(),
               arg("table").noconvert(), arg("out").noconvert(), arg("first"), arg("threads") = 1,
               arg("path") = py::none(), "The same of values times reciprocals (channels,).");
    module.def("describe_low", &low, arg("values").noconvert(), arg("reciprocals").noconvert(),
               arg("table").noconvert(), arg("factor"), arg("out").noconvert(), arg("first"),
               "Six channels of the low bands (3, height, width).");
    module.def("add_corrections", &correct, arg("planes").noconvert(), arg("corrections").noconvert(),
               arg("bands").noconvert(), arg("steps").noconvert(), arg("threads") = 1, arg("path") = py::none(),
               "planes (n, height, width) += corrections (height, width, .) of `bands` (n,) times steps.");
    module.def("corrected", &corrected, arg("packet").noconvert(), arg("order").noconvert(), arg("low").noconvert(),
               arg("corrections").noconvert(), arg("steps").noconvert(), arg("threads") = 1, arg("path") = py::none(),
               "All bands, of kept ones and low ones, with corrections (height, width, 192) times steps (192,).");
}

}  // namespace tessera
