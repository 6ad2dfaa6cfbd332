// numpy arrays and bytes to the coder. Shapes and types are checked in coder.py and tables.py; here the buffers are
// taken as they are (contiguous, of the exact type, otherwise TypeError), and the work is done without the
// interpreter's lock.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <atomic>
#include <cstring>

#include "bindings_dispatch.hpp"
#include "coder.hpp"
#include "crc32c.hpp"
#include "port.hpp"

namespace py = pybind11;

namespace tessera {
namespace {

template <typename T>
using Array = py::array_t<T, py::array::c_style>;

// One thread at a time: a second one gets a RuntimeError instead of a torn stream.
class Turn {
public:
    explicit Turn(std::atomic<bool>& busy) : busy_(busy) {
        if (busy_.exchange(true)) throw std::runtime_error("the coder is in use by another thread");
    }
    ~Turn() { busy_ = false; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

private:
    std::atomic<bool>& busy_;
};

template <typename Coder>
struct Shared {
    template <typename... Arguments>
    explicit Shared(Arguments&&... arguments) : coder(std::forward<Arguments>(arguments)...) {}
    Coder coder;
    std::atomic<bool> busy{false};
};

using SharedEncoder = Shared<Encoder>;
using SharedDecoder = Shared<Decoder>;

std::shared_ptr<Tables> make_tables(const Array<uint16_t>& frequencies, const Array<int32_t>& lows,
                                    const Array<int32_t>& sizes) {
    if (frequencies.ndim() != 2 || lows.ndim() != 1 || sizes.ndim() != 1 || lows.shape(0) != frequencies.shape(0) ||
        sizes.shape(0) != frequencies.shape(0)) {
        throw std::invalid_argument("frequencies must be (n, m), lows and sizes (n,)");
    }
    return std::make_shared<Tables>(frequencies.data(), static_cast<size_t>(frequencies.shape(0)),
                                    static_cast<size_t>(frequencies.shape(1)), lows.data(), sizes.data());
}

size_t common_size(const Array<int32_t>& symbols, const Array<uint8_t>& indices) {
    if (symbols.size() != indices.size()) throw std::invalid_argument("symbols and indices differ in size");
    return static_cast<size_t>(symbols.size());
}

Array<float> bits(const Tables& tables, const Array<int32_t>& symbols, const Array<uint8_t>& indices) {
    const size_t n = common_size(symbols, indices);
    Array<float> out(indices.size());
    float* to = out.mutable_data();
    const py::gil_scoped_release unlocked;
    symbol_bits(tables, symbols.data(), indices.data(), n, to);
    return out;
}

void put(SharedEncoder& self, const Array<int32_t>& symbols, const Array<uint8_t>& indices) {
    const size_t n = common_size(symbols, indices);
    const py::gil_scoped_release unlocked;
    const Turn turn(self.busy);
    self.coder.put(symbols.data(), indices.data(), n);
}

py::bytes finish_encoder(SharedEncoder& self) {
    std::vector<uint8_t> stream;
    {
        const py::gil_scoped_release unlocked;
        const Turn turn(self.busy);
        stream = self.coder.finish();
    }
    return py::bytes(reinterpret_cast<const char*>(stream.data()), stream.size());
}

std::unique_ptr<SharedDecoder> make_decoder(std::shared_ptr<Tables> tables, const Array<uint8_t>& data,
                                            const PathName& path) {
    return std::make_unique<SharedDecoder>(std::move(tables), data.data(), static_cast<size_t>(data.size()),
                                           find(dispatch(), path));
}

void get(SharedDecoder& self, const Array<uint8_t>& indices, Array<int32_t>& out) {
    if (out.size() != indices.size()) throw std::invalid_argument("out and indices differ in size");
    int32_t* to = out.mutable_data();
    const py::gil_scoped_release unlocked;
    const Turn turn(self.busy);
    self.coder.get(indices.data(), static_cast<size_t>(indices.size()), to);
}

// -- coders for other extensions --------------------------------------------------------------------------------------

enum Failed { kCorrupt = 1, kInvalid, kMemory, kOther };

PyObject* corrupt_stream = nullptr;  // the exception's type

template <typename Work>
bool guarded(PortFailure& failure, const Work& work) noexcept {
    const auto because = [&](Failed kind, const char* message) {
        failure.kind = kind;
        std::strncpy(failure.message, message, sizeof failure.message - 1);
        return false;
    };
    try {
        work();
        return true;
    } catch (const CorruptStream& error) {
        return because(kCorrupt, error.what());
    } catch (const std::invalid_argument& error) {
        return because(kInvalid, error.what());
    } catch (const std::bad_alloc& error) {
        return because(kMemory, error.what());
    } catch (const std::exception& error) {
        return because(kOther, error.what());
    }
}

void set_error(const PortFailure& failure) {
    PyObject* type = PyExc_RuntimeError;
    if (failure.kind == kCorrupt) type = corrupt_stream;
    if (failure.kind == kInvalid) type = PyExc_ValueError;
    if (failure.kind == kMemory) type = PyExc_MemoryError;
    PyErr_SetString(type, failure.message);
}

bool port_get(void* coder, const uint8_t* indices, size_t n, int32_t* out, PortFailure& failure) {
    return guarded(failure, [&] {
        auto& shared = *static_cast<SharedDecoder*>(coder);
        const Turn turn(shared.busy);
        shared.coder.get(indices, n, out);
    });
}

bool port_put(void* coder, const int32_t* symbols, const uint8_t* indices, size_t n, PortFailure& failure) {
    return guarded(failure, [&] {
        auto& shared = *static_cast<SharedEncoder*>(coder);
        const Turn turn(shared.busy);
        shared.coder.put(symbols, indices, n);
    });
}

bool no_get(void*, const uint8_t*, size_t, int32_t*, PortFailure& failure) {
    return guarded(failure, [] { throw std::invalid_argument("an encoder takes symbols"); });
}

bool no_put(void*, const int32_t*, const uint8_t*, size_t, PortFailure& failure) {
    return guarded(failure, [] { throw std::invalid_argument("a decoder gives symbols"); });
}

struct HeldPort {
    SymbolPort port;
    py::object owner;
};

py::capsule capsule_of(SymbolPort port, py::object owner) {
    auto* held = new HeldPort{port, std::move(owner)};
    // `port` comes first in a HeldPort, so that one address is the other
    return py::capsule(held, kSymbolPort, [](PyObject* capsule) {
        delete static_cast<HeldPort*>(PyCapsule_GetPointer(capsule, kSymbolPort));
    });
}

py::capsule native_encoder(const py::object& self) {
    return capsule_of({&self.cast<SharedEncoder&>(), &no_get, &port_put, &set_error}, self);
}

py::capsule native_decoder(const py::object& self) {
    return capsule_of({&self.cast<SharedDecoder&>(), &port_get, &no_put, &set_error}, self);
}

uint32_t checksum(const Array<uint8_t>& data, uint32_t value, bool table) {
    const auto size = static_cast<size_t>(data.size());
    const py::gil_scoped_release unlocked;
    return table ? crc32c_table(data.data(), size, value) : crc32c(data.data(), size, value);
}

}  // namespace

PYBIND11_MODULE(_coder, module) {
    module.doc() = "The range coder in C++. Use tessera.entropy, which checks its arguments.";
    corrupt_stream = py::register_exception<CorruptStream>(module, "CorruptStream", PyExc_ValueError).inc_ref().ptr();
    py::class_<Tables, std::shared_ptr<Tables>>(module, "Tables")
        .def(py::init(&make_tables), py::arg("frequencies").noconvert(), py::arg("lows").noconvert(),
             py::arg("sizes").noconvert())
        .def("__len__", &Tables::count)
        .def_property_readonly("narrow", &Tables::narrow)
        .def("bits", &bits, py::arg("symbols").noconvert(), py::arg("indices").noconvert());
    py::class_<SharedEncoder>(module, "Encoder")
        .def(py::init([](std::shared_ptr<Tables> tables, const PathName& path, unsigned lanes) {
                 return std::make_unique<SharedEncoder>(std::move(tables), find(dispatch(), path), lanes);
             }),
             py::arg("tables"), py::arg("path") = py::none(), py::arg("lanes") = 0)
        .def("put", &put, py::arg("symbols").noconvert(), py::arg("indices").noconvert())
        .def("finish", &finish_encoder)
        .def("native", &native_encoder);
    py::class_<SharedDecoder>(module, "Decoder")
        .def(py::init(&make_decoder), py::arg("tables"), py::arg("data").noconvert(), py::arg("path") = py::none())
        .def("get", &get, py::arg("indices").noconvert(), py::arg("out").noconvert())
        .def("finish", [](const SharedDecoder& self) { self.coder.finish(); })
        .def("native", &native_decoder);
    module.def("crc32c", &checksum, py::arg("data").noconvert(), py::arg("value") = 0, py::arg("table") = false);
    bind_dispatch(module, dispatch());
    // what Python has too; tests/entropy/test_constants.py compares
    using namespace py::literals;
    module.attr("CONSTANTS") =
        py::dict("PRECISION"_a = kPrecision, "TOTAL"_a = kTotal, "MAX_TABLES"_a = kMaxTables, "MAX_SIZE"_a = kRow,
                 "LOWEST"_a = kLowest, "MAX_LANES"_a = kMaxLanes, "LANE_BYTES"_a = kLaneBytes);
}

}  // namespace tessera
