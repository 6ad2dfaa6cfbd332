// numpy buffers and a coder's capsule to fitted pictures, checked as in bindings.cpp.
#include "bindings.hpp"
#include "frame.hpp"
#include "overfitted.hpp"

namespace tessera {
namespace {

using TensorArrays = std::vector<std::tuple<Array<int32_t>, int>>;

const FittedLoops& loops_of(const PathName& path) { return find(fitted_dispatch(), path); }

FittedNetworks make_networks(size_t point, size_t levels, size_t channels, const TensorArrays& tensors) {
    std::vector<FittedTensor> given;
    for (const auto& [values, bits] : tensors) given.push_back({{values.data(), values.data() + values.size()}, bits});
    return FittedNetworks(point, levels, channels, given);
}

FittedGrids grids_of(const FittedNetworks& networks, py::ssize_t height, py::ssize_t width) {
    return FittedGrids(side(height, "height"), side(width, "width"), networks.levels());
}

void take(const std::vector<Array<int32_t>>& arrays, FittedGrids& grids) {
    if (arrays.size() != grids.shapes.size()) throw std::invalid_argument("there must be an array of every grid");
    for (size_t number = 0; number < arrays.size(); ++number) {
        const GridShape& shape = grids.shapes[number];
        expect(arrays[number], {shape.height, shape.width}, "a grid");
        const int32_t* from = arrays[number].data();
        int16_t* to = grids.grid(number);
        for (size_t i = 0; i < shape.cells(); ++i) {
            if (from[i] < -kLargestValue || from[i] > kLargestValue)
                throw std::invalid_argument("a value of a grid is out of range");
            to[i] = static_cast<int16_t>(from[i]);
        }
    }
}

py::list as_list(const FittedGrids& grids) {
    py::list found;
    for (size_t number = 0; number < grids.shapes.size(); ++number) {
        const GridShape& shape = grids.shapes[number];
        Array<int32_t> array({shape.height, shape.width});
        std::copy_n(grids.grid(number), shape.cells(), array.mutable_data());
        found.append(array);
    }
    return found;
}

// (symbols, tables)
py::tuple as_tuple(const FittedTrace& trace) {
    const std::vector<size_t> shape{trace.symbols.size()};
    return py::make_tuple(Array<int32_t>(shape, trace.symbols.data()), Array<uint8_t>(shape, trace.tables.data()));
}

Array<uint8_t> pixels_of(const FittedNetworks& networks, const FittedGrids& grids, py::ssize_t threads,
                         const FittedLoops& loops) {
    const GridShape& shape = grids.shapes.back();
    auto pixels = kept_array<uint8_t>({shape.height, shape.width, networks.channels()});
    uint8_t* to = pixels.mutable_data();
    const py::gil_scoped_release release;
    paint_grids(networks, grids, to, threads_of(threads), loops);
    return pixels;
}

Array<uint8_t> decode(const FittedNetworks& self, py::ssize_t height, py::ssize_t width, const py::object& capsule,
                      py::ssize_t threads, const PathName& path) {
    const SymbolPort* port = port_of(capsule);
    const FittedLoops& loops = loops_of(path);
    FittedGrids grids = grids_of(self, height, width);
    unlocked(port, [&] { read_grids(self, grids, *port, nullptr, loops); });
    return pixels_of(self, grids, threads, loops);
}

// (grids, (symbols, tables))
py::tuple read(const FittedNetworks& self, py::ssize_t height, py::ssize_t width, const py::object& capsule,
               const PathName& path) {
    const SymbolPort* port = port_of(capsule);
    FittedGrids grids = grids_of(self, height, width);
    FittedTrace trace;
    unlocked(port, [&] { read_grids(self, grids, *port, &trace, loops_of(path)); });
    return py::make_tuple(as_list(grids), as_tuple(trace));
}

void put(const FittedNetworks& self, py::ssize_t height, py::ssize_t width, const std::vector<Array<int32_t>>& arrays,
         const py::object& capsule, const PathName& path) {
    const SymbolPort* port = port_of(capsule);
    FittedGrids grids = grids_of(self, height, width);
    take(arrays, grids);
    unlocked(port, [&] { put_grids(self, grids, port, nullptr, loops_of(path)); });
}

py::tuple trace(const FittedNetworks& self, py::ssize_t height, py::ssize_t width,
                const std::vector<Array<int32_t>>& arrays, const PathName& path) {
    FittedGrids grids = grids_of(self, height, width);
    take(arrays, grids);
    FittedTrace found;
    unlocked(nullptr, [&] { put_grids(self, grids, nullptr, &found, loops_of(path)); });
    return as_tuple(found);
}

Array<uint8_t> paint(const FittedNetworks& self, py::ssize_t height, py::ssize_t width,
                     const std::vector<Array<int32_t>>& arrays, py::ssize_t threads, const PathName& path) {
    FittedGrids grids = grids_of(self, height, width);
    take(arrays, grids);
    return pixels_of(self, grids, threads, loops_of(path));
}

}  // namespace

void bind_overfitted(py::module_& module) {
    py::class_<FittedNetworks>(module, "FittedNetworks")
        .def(py::init(&make_networks), py::arg("point"), py::arg("levels"), py::arg("channels"),
             py::arg("tensors").noconvert())
        .def("decode", &decode, py::arg("height"), py::arg("width"), py::arg("port"), py::arg("threads") = 1,
             py::arg("path") = py::none())
        .def("read", &read, py::arg("height"), py::arg("width"), py::arg("port"), py::arg("path") = py::none())
        .def("put", &put, py::arg("height"), py::arg("width"), py::arg("grids").noconvert(), py::arg("port"),
             py::arg("path") = py::none())
        .def("trace", &trace, py::arg("height"), py::arg("width"), py::arg("grids").noconvert(),
             py::arg("path") = py::none())
        .def("paint", &paint, py::arg("height"), py::arg("width"), py::arg("grids").noconvert(),
             py::arg("threads") = 1, py::arg("path") = py::none());
}

}  // namespace tessera
