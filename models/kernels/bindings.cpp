// numpy buffers to the walk of a prior, and the module. Buffers are contiguous and of the exact type, otherwise
// TypeError; shapes are checked here, and the work is done without the interpreter's lock.
#include "bindings.hpp"

#include "network_loops.hpp"
#include "overfitted_loops.hpp"
#include "prior.hpp"

namespace tessera {

Weights weights_of(const Array<int32_t>& array, const char* name) {
    if (array.ndim() != 4 || array.shape(2) != array.shape(3)) {
        throw std::invalid_argument(std::string(name) + " must be (outputs, inputs, side, side)");
    }
    return {array.data(), static_cast<size_t>(array.shape(0)), static_cast<size_t>(array.shape(1)),
            static_cast<size_t>(array.shape(2))};
}

namespace {

template <typename T>
py::array as_array(std::vector<T>&& values) {
    auto* held = new std::vector<T>(std::move(values));
    const py::capsule owner(held, [](void* p) { delete static_cast<std::vector<T>*>(p); });
    return Array<T>({static_cast<py::ssize_t>(held->size())}, held->data(), owner);
}

void add_slice(Level& self, const Array<int32_t>& first, const Array<int32_t>& near, const Array<int32_t>& second,
               const Optional<int32_t>& context) {
    if (context) {
        const Weights last = weights_of(*context, "context");
        self.add(weights_of(first, "first"), weights_of(near, "near"), weights_of(second, "second"), &last);
    } else {
        self.add(weights_of(first, "first"), weights_of(near, "near"), weights_of(second, "second"), nullptr);
    }
}

std::unique_ptr<Walk> make_walk(std::shared_ptr<Level> level, py::ssize_t height, py::ssize_t width,
                                const Array<int32_t>& bias, const Optional<int32_t>& coarser, bool keep,
                                py::ssize_t threads, const PathName& path,
                                const Optional<int32_t>& hints) {
    const size_t h = side(height, "height"), w = side(width, "width");
    expect(bias, {level->hidden}, "bias");
    if (coarser) expect(*coarser, {level->coarse_channels, (h + 1) / 2, (w + 1) / 2}, "coarser");
    if (hints) expect(*hints, {level->hint_channels, h, w}, "hints");
    const int32_t* above = coarser ? coarser->data() : nullptr;
    const int32_t* beside = hints ? hints->data() : nullptr;
    const Kernels& kernels = kernels_of(path);
    const py::gil_scoped_release unlocked;
    return std::make_unique<Walk>(std::move(level), h, w, bias.data(), above, beside, threads_of(threads),
                                  Kept{keep, keep}, kernels);
}

const Slice& slice_of(const Walk& walk, size_t slice, int parity, const Array<int32_t>& bias) {
    if (slice >= walk.level().slices.size()) throw std::invalid_argument("there is no such slice");
    if (parity != 0 && parity != 1) throw std::invalid_argument("parity must be 0 or 1");
    const Slice& part = walk.level().slices[slice];
    expect(bias, {part.count}, "bias");
    return part;
}

// (indices, wide indices)
py::tuple tables_of(Walk& self, size_t slice, int parity, const Array<int32_t>& bias) {
    const Slice& part = slice_of(self, slice, parity, bias);
    Array<uint8_t> indices(static_cast<py::ssize_t>(part.count * self.cells(parity)));
    uint8_t* to = indices.mutable_data();
    std::vector<int32_t> none;
    std::vector<uint8_t> low;
    {
        const py::gil_scoped_release unlocked;
        if (self.tables(slice, parity, bias.data(), to)) self.split_wide(nullptr, none, low);
    }
    return py::make_tuple(indices, as_array(std::move(low)));
}

void update(Walk& self, Array<int32_t>& symbols, const Optional<int32_t>& low) {
    if (static_cast<size_t>(symbols.size()) != self.pass_size())
        throw std::invalid_argument("symbols has the wrong size");
    if ((low ? static_cast<size_t>(low->size()) : 0) != self.wide())
        throw std::invalid_argument("low has the wrong size");
    int32_t* whole = symbols.mutable_data();
    const int32_t* parts = low ? low->data() : nullptr;
    const py::gil_scoped_release unlocked;
    self.update(whole, parts);
}

// (symbols, indices, low symbols, low indices)
py::tuple round_pass(Walk& self, size_t slice, int parity, const Array<int32_t>& bias, const Array<float>& scaled,
                     const Array<float>& margins) {
    const Slice& part = slice_of(self, slice, parity, bias);
    expect(scaled, {self.level().channels, self.height() * self.width()}, "scaled");
    expect(margins, {kRungs, kMargins}, "margins");
    const auto size = static_cast<py::ssize_t>(part.count * self.cells(parity));
    Array<uint8_t> indices(size);
    Array<int32_t> symbols(size);
    uint8_t* to_indices = indices.mutable_data();
    int32_t* to_symbols = symbols.mutable_data();
    std::vector<int32_t> low;
    std::vector<uint8_t> low_indices;
    {
        const py::gil_scoped_release unlocked;
        if (self.round(slice, parity, bias.data(), scaled.data(), margins.data(), to_indices, to_symbols)) {
            self.split_wide(to_symbols, low, low_indices);
        }
    }
    return py::make_tuple(symbols, indices, as_array(std::move(low)), as_array(std::move(low_indices)));
}

template <typename T>
py::array plane(const py::object& self, T* values) {
    const Walk& walk = self.cast<const Walk&>();
    if (values == nullptr) throw std::invalid_argument("this walk keeps no such planes");
    return Array<T>({walk.level().channels, walk.height(), walk.width()}, values, self);
}

py::array walk_values(const py::object& self) { return plane(self, self.cast<const Walk&>().values()); }
py::array walk_rungs(const py::object& self) { return plane(self, self.cast<const Walk&>().rungs()); }

}  // namespace

PYBIND11_MODULE(_kernels, module) {
    module.doc() =
        "The loops of the codec families in C++; twins: models/prior/bands.py for the walk, models/reference for the rest.";
    bind_dispatch(module, dispatch(), network_dispatch(), fitted_dispatch());
    py::class_<Level, std::shared_ptr<Level>>(module, "Level")
        .def(py::init(
                 [](const Array<int32_t>& coarse) { return std::make_shared<Level>(weights_of(coarse, "coarse")); }),
             py::arg("coarse").noconvert())
        .def("add", &add_slice, py::arg("first").noconvert(), py::arg("near").noconvert(),
             py::arg("second").noconvert(), py::arg("context").noconvert())
        .def(
            "add_hints", [](Level& self, const Array<int32_t>& hints) { self.add_hints(weights_of(hints, "hints")); },
            py::arg("hints").noconvert());
    py::class_<Walk>(module, "Walk")
        .def(py::init(&make_walk), py::arg("level"), py::arg("height"), py::arg("width"), py::arg("bias").noconvert(),
             py::arg("coarser").noconvert(), py::arg("keep"), py::arg("threads") = 1, py::arg("path") = py::none(),
             py::arg("hints").noconvert() = py::none())
        .def("tables", &tables_of, py::arg("slice"), py::arg("parity"), py::arg("bias").noconvert())
        .def("update", &update, py::arg("symbols").noconvert(), py::arg("low").noconvert())
        .def("round", &round_pass, py::arg("slice"), py::arg("parity"), py::arg("bias").noconvert(),
             py::arg("scaled").noconvert(), py::arg("margins").noconvert())
        .def(
            "finish",
            [](Walk& self, size_t slice) {
                const py::gil_scoped_release unlocked;
                self.finish(slice);
            },
            py::arg("slice"))
        .def_property_readonly("values", &walk_values)
        .def_property_readonly("rungs", &walk_rungs);
    bind_constants(module);
    bind_dyadic(module);
    bind_exact(module);
    bind_field(module);
    bind_frame(module);
    bind_motion(module);
    bind_moves(module);
    bind_network(module);
    bind_overfitted(module);
    bind_port(module);
    bind_words(module);
}

}  // namespace tessera
