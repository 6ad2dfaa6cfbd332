// numpy buffers to the loops of a fit. Shapes are checked here, the work is done without the interpreter's lock.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings_dispatch.hpp"
#include "fit.hpp"

namespace tessera {
namespace fit {
namespace {

namespace py = pybind11;

template <typename T>
using Array = py::array_t<T, py::array::c_style>;

std::unique_ptr<Fit> make(const Array<uint8_t>& pixels, size_t levels, const std::vector<std::pair<int, int>>& places,
                          size_t features, size_t hidden, size_t windows, uint64_t seed, const PathName& path) {
    if (pixels.ndim() != 3) throw std::invalid_argument("pixels must be (height, width, channels)");
    Shape shape{static_cast<size_t>(pixels.shape(0)), static_cast<size_t>(pixels.shape(1)),
                static_cast<size_t>(pixels.shape(2)), levels, {}, features, hidden, windows};
    for (const auto& [dy, dx] : places) shape.places.push_back({dy, dx});
    return std::make_unique<Fit>(pixels.data(), shape, seed, find(fit_dispatch(), path));
}

const float* parameters_of(const Fit& self, const Array<float>& parameters) {
    if (parameters.ndim() != 1 || static_cast<size_t>(parameters.size()) != self.parameters())
        throw std::invalid_argument("parameters has the wrong shape");
    return parameters.data();
}

size_t threads_of(py::ssize_t threads) {
    return threads < 1 ? 1 : threads > 64 ? 64 : static_cast<size_t>(threads);
}

// (mean squared error, bits, gradients, which are empty where nobody asks for them)
py::tuple pass(Fit& self, const Array<float>& parameters, float temperature, float deviation, float rate_weight,
               bool gradients, py::ssize_t threads) {
    const float* values = parameters_of(self, parameters);
    Array<float> found(static_cast<py::ssize_t>(gradients ? self.parameters() : 0));
    float* to = gradients ? found.mutable_data() : nullptr;
    Answer answer;
    {
        const py::gil_scoped_release unlocked;
        answer = self.pass(values, {temperature, deviation}, rate_weight, to, threads_of(threads));
    }
    return py::make_tuple(answer.error, answer.bits, found);
}

size_t grid_of(const Fit& self, size_t grid) {
    if (grid >= self.grids()) throw std::invalid_argument("there is no such grid");
    return grid;
}

// A view of the latents of a grid, in steps / 16.
Array<float> latents(const py::object& self, size_t grid) {
    Fit& fit = self.cast<Fit&>();
    grid_of(fit, grid);
    return Array<float>({fit.height(grid), fit.width(grid)}, fit.latents(grid), self);
}

}  // namespace
}  // namespace fit
}  // namespace tessera

PYBIND11_MODULE(_fit, module) {
    using namespace tessera;
    using namespace tessera::fit;
    module.doc() = "Fits a picture's latents and networks; twin: tests/models/overfitted/twin.py.";
    bind_dispatch(module, fit_dispatch());
    py::class_<Fit>(module, "Fit")
        .def(py::init(&make), py::arg("pixels").noconvert(), py::arg("levels"), py::arg("places"),
             py::arg("features"), py::arg("hidden"), py::arg("windows"), py::arg("seed") = 0,
             py::arg("path") = py::none())
        .def_property_readonly("parameters", &Fit::parameters)
        .def_property_readonly("tensors",
                               [](const Fit& self) {
                                   py::list out;
                                   for (const Tensor& t : self.tensors())
                                       out.append(py::make_tuple(t.name, t.at, py::tuple(py::cast(t.shape))));
                                   return out;
                               })
        .def_property_readonly("grids",
                               [](const Fit& self) {
                                   py::list out;
                                   for (size_t i = 0; i < self.grids(); ++i)
                                       out.append(py::make_tuple(self.level(i), self.hyper(i)));
                                   return out;
                               })
        .def("latents", &latents, py::arg("grid"))
        .def("gradient", [](Fit& self, size_t grid) {
            return self.gradient(grid_of(self, grid));
        })
        .def("measure", &pass, py::arg("parameters").noconvert(), py::arg("temperature"), py::arg("deviation"),
             py::arg("rate_weight"), py::arg("gradients"), py::arg("threads") = 1)
        .def(
            "step_latents",
            [](Fit& self, float rate, float beta1, float beta2, float correct1, float correct2, float epsilon,
               py::ssize_t threads) {
                const py::gil_scoped_release unlocked;
                self.step_latents({rate, beta1, beta2, correct1, correct2, epsilon}, threads_of(threads));
            },
            py::arg("rate"), py::arg("beta1"), py::arg("beta2"), py::arg("correct1"), py::arg("correct2"),
            py::arg("epsilon"), py::arg("threads") = 1)
        .def("forget_steps", &Fit::forget_steps);
}
