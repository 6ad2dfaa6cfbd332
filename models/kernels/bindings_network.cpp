// numpy buffers to integer networks, checked as in bindings.cpp.
#include <algorithm>

#include "bindings.hpp"
#include "network.hpp"
#include "network_loops.hpp"

namespace tessera {
namespace {

constexpr size_t kMostCells = size_t{1} << 28;

std::vector<int16_t> table_of(const Optional<int16_t>& table) {
    if (!table) return {};
    if (table->ndim() != 1 || table->size() == 0) throw std::invalid_argument("table must be a row of entries");
    return {table->data(), table->data() + table->size()};
}

size_t added(const std::optional<size_t>& add) {
    if (add && *add == 0) throw std::invalid_argument("the input cannot be added");
    return add.value_or(0);
}

size_t convolve(Network& self, size_t source, const Array<int8_t>& weights, const Optional<int16_t>& table,
                const std::optional<size_t>& add, int32_t low, int32_t high) {
    if (weights.ndim() != 4) throw std::invalid_argument("weights must be (outputs, side, side, inputs)");
    if (source > self.layers()) throw std::invalid_argument("source names a tensor that does not exist");
    const auto outputs = static_cast<size_t>(weights.shape(0)), side = static_cast<size_t>(weights.shape(1));
    expect(weights, {outputs, side, side, self.channels(source)}, "weights");
    return self.convolve(source, weights.data(), outputs, side, added(add), table_of(table), {low, high});
}

size_t depthwise(Network& self, size_t source, const Array<int8_t>& weights, const Optional<int16_t>& table,
                 const std::optional<size_t>& add, int32_t low, int32_t high) {
    if (weights.ndim() != 3) throw std::invalid_argument("weights must be (side, side, channels)");
    if (source > self.layers()) throw std::invalid_argument("source names a tensor that does not exist");
    const auto side = static_cast<size_t>(weights.shape(0));
    expect(weights, {side, side, self.channels(source)}, "weights");
    return self.depthwise(source, weights.data(), side, added(add), table_of(table), {low, high});
}

Array<int16_t> run_network(const Network& self, const Array<int16_t>& x, const Array<int32_t>& multipliers,
                           const Array<int64_t>& offsets, py::ssize_t threads, const PathName& path) {
    if (x.ndim() != 3) throw std::invalid_argument("x must be (height, width, channels)");
    const size_t height = side(x.shape(0), "height"), width = side(x.shape(1), "width");
    expect(x, {height, width, self.channels(0)}, "x");
    if (height * width > kMostCells) throw std::invalid_argument("x has too many cells");
    expect(multipliers, {self.outputs()}, "multipliers");
    expect(offsets, {self.outputs()}, "offsets");
    const auto beyond = [](int64_t b) { return b > kOffsetLimit || b < -kOffsetLimit; };
    if (std::any_of(offsets.data(), offsets.data() + offsets.size(), beyond))
        throw std::invalid_argument("an offset is out of range");
    const NetworkLoops& loops = find(network_dispatch(), path);
    Array<int16_t> out = kept_array<int16_t>({height, width, self.channels(self.layers())});
    int16_t* to = out.mutable_data();
    const py::gil_scoped_release unlocked;
    self.run(x.data(), height, width, multipliers.data(), offsets.data(), to, threads_of(threads), loops);
    return out;
}

}  // namespace

void bind_network(py::module_& module) {
    py::class_<Network>(module, "Network")
        .def(py::init([](size_t channels, int32_t low, int32_t high) {
                 return std::make_unique<Network>(channels, Range{low, high});
             }),
             py::arg("channels"), py::arg("low"), py::arg("high"))
        .def("convolve", &convolve, py::arg("source"), py::arg("weights").noconvert(), py::arg("table").noconvert(),
             py::arg("add"), py::arg("low"), py::arg("high"))
        .def("depthwise", &depthwise, py::arg("source"), py::arg("weights").noconvert(), py::arg("table").noconvert(),
             py::arg("add"), py::arg("low"), py::arg("high"))
        .def("run", &run_network, py::arg("x").noconvert(), py::arg("multipliers").noconvert(),
             py::arg("offsets").noconvert(), py::arg("threads") = 1, py::arg("path") = py::none());
}

}  // namespace tessera
