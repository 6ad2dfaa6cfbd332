// A port of Python as the kernels call a coder: each call takes the interpreter's lock and calls `get` or `put`.
#include <algorithm>
#include <cstring>
#include <memory>

#include "bindings.hpp"

namespace tessera {
namespace {

// What a call of Python raised, until `raise` hands it on. Calls and `raise` come from one thread.
thread_local std::unique_ptr<py::error_already_set> raised;

template <typename Work>
bool called(PortFailure& failure, const Work& work) noexcept {
    const py::gil_scoped_acquire lock;
    try {
        work();
        return true;
    } catch (py::error_already_set& error) {
        raised = std::make_unique<py::error_already_set>(std::move(error));
    } catch (const std::exception& error) {
        std::strncpy(failure.message, error.what(), sizeof failure.message - 1);
    }
    failure.kind = 1;
    return false;
}

struct LentPort {
    SymbolPort port;
    py::object target;
};

bool get(void* coder, const uint8_t* indices, size_t n, int32_t* out, PortFailure& failure) {
    return called(failure, [&] {
        const Array<uint8_t> tables(static_cast<py::ssize_t>(n), indices);
        const auto symbols = static_cast<LentPort*>(coder)->target.attr("get")(tables).cast<Array<int32_t>>();
        if (static_cast<size_t>(symbols.size()) != n) throw std::invalid_argument("a port gave another number of symbols");
        std::copy_n(symbols.data(), n, out);
    });
}

bool put(void* coder, const int32_t* symbols, const uint8_t* indices, size_t n, PortFailure& failure) {
    return called(failure, [&] {
        const auto size = static_cast<py::ssize_t>(n);
        static_cast<LentPort*>(coder)->target.attr("put")(Array<int32_t>(size, symbols), Array<uint8_t>(size, indices));
    });
}

void raise(const PortFailure& failure) {
    if (raised == nullptr) return PyErr_SetString(PyExc_ValueError, failure.message);
    raised->restore();
    raised.reset();
}

py::capsule lend(py::object target) {
    auto* held = new LentPort{{nullptr, &get, &put, &raise}, std::move(target)};
    held->port.coder = held;
    return py::capsule(held, kSymbolPort, [](PyObject* capsule) {
        delete static_cast<LentPort*>(PyCapsule_GetPointer(capsule, kSymbolPort));
    });
}

}  // namespace

void bind_port(py::module_& module) { module.def("lend", &lend, py::arg("port")); }

}  // namespace tessera
