// numpy buffers to integer networks, checked as in bindings.cpp.
#include "bindings.hpp"
#include "network.hpp"
#include "network_loops.hpp"

namespace tessera {
namespace {

constexpr size_t kMostCells = size_t{1} << 28;

Range range_of(int32_t low, int32_t high, const std::optional<int32_t>& zero) {
    return {low, high, zero.value_or(0), zero.has_value()};
}

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
                const std::optional<size_t>& add, int32_t low, int32_t high, const std::optional<int32_t>& zero) {
    if (weights.ndim() != 4) throw std::invalid_argument("weights must be (outputs, side, side, inputs)");
    if (source > self.layers()) throw std::invalid_argument("source names a tensor that does not exist");
    const auto outputs = static_cast<size_t>(weights.shape(0)), side = static_cast<size_t>(weights.shape(1));
    expect(weights, {outputs, side, side, self.channels(source)}, "weights");
    return self.convolve(source, weights.data(), outputs, side, added(add), table_of(table), range_of(low, high, zero));
}

size_t depthwise(Network& self, size_t source, const Array<int8_t>& weights, const Optional<int16_t>& table,
                 const std::optional<size_t>& add, int32_t low, int32_t high, const std::optional<int32_t>& zero) {
    if (weights.ndim() != 3) throw std::invalid_argument("weights must be (side, side, channels)");
    if (source > self.layers()) throw std::invalid_argument("source names a tensor that does not exist");
    const auto side = static_cast<size_t>(weights.shape(0));
    expect(weights, {side, side, self.channels(source)}, "weights");
    return self.depthwise(source, weights.data(), side, added(add), table_of(table), range_of(low, high, zero));
}

template <typename From, typename To>
py::array run_with(const Network& self, const Array<From>& x, const Array<int32_t>& multipliers,
                   const Array<int64_t>& offsets, size_t threads, const NetworkLoops& loops) {
    const auto height = static_cast<size_t>(x.shape(0)), width = static_cast<size_t>(x.shape(1));
    Array<To> out = kept_array<To>({height, width, self.channels(self.layers())});
    To* to = out.mutable_data();
    const py::gil_scoped_release unlocked;
    self.run(x.data(), height, width, multipliers.data(), offsets.data(), to, threads, loops);
    return out;
}

template <typename From>
py::array run_from(const Network& self, const py::array& given, const Array<int32_t>& multipliers,
                   const Array<int64_t>& offsets, size_t threads, const NetworkLoops& loops) {
    if (!py::isinstance<Array<From>>(given)) throw py::type_error("x has the wrong type or is not contiguous");
    const auto x = py::reinterpret_borrow<Array<From>>(given);
    return self.range(self.layers()).bytes ? run_with<From, uint8_t>(self, x, multipliers, offsets, threads, loops)
                                           : run_with<From, int16_t>(self, x, multipliers, offsets, threads, loops);
}

py::array run_network(const Network& self, const py::array& x, const Array<int32_t>& multipliers,
                      const Array<int64_t>& offsets, py::ssize_t threads, const std::optional<std::string>& path) {
    if (x.ndim() != 3 || static_cast<size_t>(x.shape(2)) != self.channels(0))
        throw std::invalid_argument("x must be (height, width, channels of the input)");
    const size_t height = side(x.shape(0), "height"), width = side(x.shape(1), "width");
    if (height * width > kMostCells) throw std::invalid_argument("x has too many cells");
    expect(multipliers, {self.outputs()}, "multipliers");
    expect(offsets, {self.outputs()}, "offsets");
    for (py::ssize_t i = 0; i < offsets.size(); ++i) {
        if (offsets.data()[i] > kOffsetLimit || offsets.data()[i] < -kOffsetLimit)
            throw std::invalid_argument("an offset is out of range");
    }
    const NetworkLoops& loops = find_network(path ? path->c_str() : nullptr);
    return self.range(0).bytes ? run_from<uint8_t>(self, x, multipliers, offsets, threads_of(threads), loops)
                               : run_from<int16_t>(self, x, multipliers, offsets, threads_of(threads), loops);
}

}  // namespace

void bind_network(py::module_& module) {
    py::class_<Network>(module, "Network")
        .def(py::init([](size_t channels, int32_t low, int32_t high, const std::optional<int32_t>& zero) {
                 return std::make_unique<Network>(channels, range_of(low, high, zero));
             }),
             py::arg("channels"), py::arg("low"), py::arg("high"), py::arg("zero") = py::none())
        .def("convolve", &convolve, py::arg("source"), py::arg("weights").noconvert(),
             py::arg("table").noconvert() = py::none(), py::arg("add") = py::none(), py::arg("low"), py::arg("high"),
             py::arg("zero") = py::none())
        .def("depthwise", &depthwise, py::arg("source"), py::arg("weights").noconvert(),
             py::arg("table").noconvert() = py::none(), py::arg("add") = py::none(), py::arg("low"), py::arg("high"),
             py::arg("zero") = py::none())
        .def("run", &run_network, py::arg("x"), py::arg("multipliers").noconvert(), py::arg("offsets").noconvert(),
             py::arg("threads") = 1, py::arg("path") = py::none());
}

}  // namespace tessera
