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
              py::ssize_t threads) {
    expect_table(table);
    const Cells cells = cells_of(out, values, first, extent(values, 0));
    const int32_t* from = values.data();
    const py::gil_scoped_release unlocked;
    describe_integers(from, extent(values, 0), table.data(), static_cast<size_t>(table.size()), cells,
                      threads_of(threads));
}

void bytes(const Array<uint8_t>& values, const Array<int16_t>& table, Array<int16_t> out, py::ssize_t first,
           py::ssize_t threads) {
    expect(table, {256}, "table");
    const Cells cells = cells_of(out, values, first, extent(values, 0));
    const uint8_t* from = values.data();
    const py::gil_scoped_release unlocked;
    describe_bytes(from, extent(values, 0), table.data(), cells, threads_of(threads));
}

void scaled(const Array<int32_t>& values, const Array<int64_t>& reciprocals, const Array<int16_t>& table,
            Array<int16_t> out, py::ssize_t first, py::ssize_t threads) {
    expect_table(table);
    const Cells cells = cells_of(out, values, first, extent(values, 0));
    expect_reciprocals(reciprocals, extent(values, 0));
    const int32_t* from = values.data();
    const py::gil_scoped_release unlocked;
    describe_scaled(from, extent(values, 0), reciprocals.data(), table.data(), static_cast<size_t>(table.size()), cells,
                    threads_of(threads));
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

void correct(Array<int32_t> planes, const Array<int16_t>& corrections, const Array<int32_t>& bands,
             const Array<int64_t>& steps, py::ssize_t threads) {
    if (planes.ndim() != 3 || corrections.ndim() != 3 || extent(corrections, 0) != extent(planes, 1) ||
        extent(corrections, 1) != extent(planes, 2))
        throw std::invalid_argument("corrections must be (height, width, bands) of the cells of planes");
    expect(bands, {extent(planes, 0)}, "bands");
    expect(steps, {extent(corrections, 2)}, "steps");
    for (py::ssize_t i = 0; i < bands.size(); ++i) {
        if (bands.data()[i] < 0 || static_cast<size_t>(bands.data()[i]) >= extent(corrections, 2))
            throw std::invalid_argument("bands names a band that does not exist");
    }
    for (py::ssize_t i = 0; i < steps.size(); ++i) {
        if (steps.data()[i] < 0 || steps.data()[i] > int64_t{1} << 40)
            throw std::invalid_argument("a step is out of range");
    }
    int32_t* to = planes.mutable_data();
    const py::gil_scoped_release unlocked;
    add_corrections(corrections.data(), extent(corrections, 2), bands.data(), steps.data(), to, extent(planes, 0),
                    extent(planes, 1) * extent(planes, 2), kBandLimit, threads_of(threads));
}

// Channels of `out` (height, width, channels), all of them or the first.
void latents(const Array<int32_t>& low, float low_unit, const Array<int32_t>& bands, const Array<float>& units,
             Array<float> out, py::ssize_t threads) {
    if (bands.ndim() != 3) throw std::invalid_argument("bands must be (bands, height, width)");
    expect(low, {3, extent(bands, 1), extent(bands, 2)}, "low");
    expect(units, {extent(bands, 0)}, "units");
    if (out.ndim() != 3 || extent(out, 0) != extent(bands, 1) || extent(out, 1) != extent(bands, 2) ||
        extent(out, 2) > 3 + extent(bands, 0)) {
        throw std::invalid_argument("out must be (height, width, channels) of the cells and bands there are");
    }
    float* to = out.mutable_data();
    const size_t cells = extent(out, 0) * extent(out, 1), channels = extent(out, 2);
    const py::gil_scoped_release unlocked;
    to_cells(low.data(), low_unit, bands.data(), units.data(), cells, channels, to, threads_of(threads));
}

}  // namespace

void bind_words(py::module_& module) {
    module.def("to_cells", &latents, py::arg("low").noconvert(), py::arg("low_unit"), py::arg("bands").noconvert(),
               py::arg("units").noconvert(), py::arg("out").noconvert(), py::arg("threads") = 1);
    using py::arg;
    module.def("describe_integers", &integers, arg("values").noconvert(), arg("table").noconvert(),
               arg("out").noconvert(), arg("first"), arg("threads") = 1,
               "Channels of `out` from `first` on: table[|value|] with the value's sign; see words.hpp.");
    module.def("describe_bytes", &bytes, arg("values").noconvert(), arg("table").noconvert(), arg("out").noconvert(),
               arg("first"), arg("threads") = 1, "The same of table[value].");
    module.def("describe_scaled", &scaled, arg("values").noconvert(), arg("reciprocals").noconvert(),
               arg("table").noconvert(), arg("out").noconvert(), arg("first"), arg("threads") = 1,
               "The same of values times reciprocals (channels,).");
    module.def("describe_low", &low, arg("values").noconvert(), arg("reciprocals").noconvert(),
               arg("table").noconvert(), arg("factor"), arg("out").noconvert(), arg("first"),
               "Six channels of the low bands (3, height, width).");
    module.def("add_corrections", &correct, arg("planes").noconvert(), arg("corrections").noconvert(),
               arg("bands").noconvert(), arg("steps").noconvert(), arg("threads") = 1,
               "planes (n, height, width) += corrections (height, width, .) of `bands` (n,) times steps.");
}

}  // namespace tessera
