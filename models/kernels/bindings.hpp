// What the binding files share: numpy arrays of an exact type, checks of their shapes, and arrays in kept buffers.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "bindings_dispatch.hpp"
#include "coder.hpp"
#include "kernels.hpp"
#include "memory.hpp"

namespace tessera {

namespace py = pybind11;

template <typename T>
using Array = py::array_t<T, py::array::c_style>;
template <typename T>
using Optional = std::optional<Array<T>>;

constexpr size_t kLargestSide = size_t{1} << 24;
constexpr size_t kMostLevels = 16;  // levels of a pyramid: no side needs more

inline const Kernels& kernels_of(const PathName& path) { return find(dispatch(), path); }

inline size_t threads_of(py::ssize_t threads) {
    return threads < 1 ? 1 : threads > 64 ? 64 : static_cast<size_t>(threads);
}

inline size_t side(py::ssize_t value, const char* name) {
    if (value < 1 || static_cast<size_t>(value) > kLargestSide)
        throw std::invalid_argument(std::string(name) + " is out of range");
    return static_cast<size_t>(value);
}

template <typename T>
void expect(const Array<T>& array, std::vector<size_t> shape, const char* name) {
    bool same = static_cast<size_t>(array.ndim()) == shape.size();
    for (size_t i = 0; same && i < shape.size(); ++i)
        same = static_cast<size_t>(array.shape(static_cast<py::ssize_t>(i))) == shape[i];
    if (!same) throw std::invalid_argument(std::string(name) + " has the wrong shape");
}

template <typename T>
std::vector<T> numbers(const Array<T>& array) {
    return {array.data(), array.data() + array.size()};
}

template <typename T>
Array<T> copied(const std::vector<T>& values, const std::vector<size_t>& shape) {
    return Array<T>(shape, values.data());
}

// An array of what a buffer holds.
template <typename T>
Array<T> handed_over(std::unique_ptr<Buffer<T>> buffer, const std::vector<size_t>& shape) {
    T* data = buffer->get();
    const py::capsule owner(buffer.get(), [](void* p) { delete static_cast<Buffer<T>*>(p); });
    buffer.release();
    return Array<T>(shape, data, owner);
}

// An array in a kept buffer, not initialised.
template <typename T>
Array<T> kept_array(const std::vector<size_t>& shape) {
    size_t count = 1;
    for (size_t n : shape) count *= n;
    return handed_over(std::make_unique<Buffer<T>>(count), shape);
}

struct Weights;
Weights weights_of(const Array<int32_t>& array, const char* name);

// What `native` of a coder lent.
const SymbolPort* port_of(const py::object& capsule);

// What work() returns, which calls a coder without the interpreter's lock; a refusal is raised as the coder's own error.
template <typename Work>
auto unlocked(const SymbolPort* port, const Work& work) {
    try {
        const py::gil_scoped_release release;
        return work();
    } catch (const Refused& refused) {
        port->raise(refused.failure);
        throw py::error_already_set();
    }
}

// The parts of the module in files of their own.
void bind_constants(py::module_& module);
void bind_dyadic(py::module_& module);
void bind_exact(py::module_& module);
void bind_field(py::module_& module);
void bind_frame(py::module_& module);
void bind_motion(py::module_& module);
void bind_moves(py::module_& module);
void bind_network(py::module_& module);
void bind_overfitted(py::module_& module);
void bind_port(py::module_& module);
void bind_words(py::module_& module);

}  // namespace tessera
