// numpy buffers to the kernels of family `wavelet`. Buffers are contiguous and of the exact type, otherwise TypeError;
// shapes are checked here, and the work is done without the interpreter's lock.
#include "bindings.hpp"

#include <algorithm>

#include "prior.hpp"
#include "pyramid.hpp"
#include "transform.hpp"

namespace tessera {
namespace {

template <typename T>
py::array as_array(std::vector<T>&& values) {
    auto* held = new std::vector<T>(std::move(values));
    const py::capsule owner(held, [](void* p) { delete static_cast<std::vector<T>*>(p); });
    return Array<T>({static_cast<py::ssize_t>(held->size())}, held->data(), owner);
}

// -- transform --------------------------------------------------------------------------------------------------------

Frame frame_of(py::ssize_t height, py::ssize_t width, py::ssize_t channels) {
    if (channels != 1 && channels != 3) throw std::invalid_argument("channels must be 1 or 3");
    return {side(height, "height"), side(width, "width"), static_cast<size_t>(channels)};
}

py::tuple analyse_frame(const Array<uint8_t>& pixels, const Array<int32_t>& order, const Array<float>& scales,
                        py::ssize_t threads, const PathName& path) {
    if (pixels.ndim() != 3) throw std::invalid_argument("pixels must be (height, width, channels)");
    const Frame frame = frame_of(pixels.shape(0), pixels.shape(1), pixels.shape(2));
    expect(scales, {kBands}, "scales");
    if (order.ndim() != 1) throw std::invalid_argument("order must be 1-D");
    const Kernels& kernels = kernels_of(path);
    const size_t rows = frame.rows(), columns = frame.columns(), kept = static_cast<size_t>(order.size());
    Array<float> bands = kept_array<float>({kept, rows * columns}), low = kept_array<float>({3, rows, columns});
    float* planes[kBands] = {};
    for (size_t i = 0; i < kept; ++i) {
        const int32_t band = order.data()[i];
        if (band < 0 || band >= static_cast<int32_t>(kBands))
            throw std::invalid_argument("order names a band that does not exist");
        if (band % 64 == 0) throw std::invalid_argument("order names a low band, which is returned by itself");
        planes[band] = bands.mutable_data() + i * rows * columns;
    }
    // the low band of each axis is a plane of its own
    for (size_t axis = 0; axis < 3; ++axis) planes[64 * axis] = low.mutable_data() + axis * rows * columns;
    {
        const py::gil_scoped_release unlocked;
        analyse(frame, pixels.data(), planes, scales.data(), threads_of(threads), kernels);
    }
    return py::make_tuple(bands, low);
}

Array<uint8_t> synthesise_frame(const Array<int32_t>& symbols, const Array<float>& low, const Array<int32_t>& order,
                                const Array<float>& scales, const Optional<int16_t>& correction, py::ssize_t height,
                                py::ssize_t width, py::ssize_t channels, py::ssize_t threads,
                                const PathName& path) {
    const Frame frame = frame_of(height, width, channels);
    const size_t rows = frame.rows(), columns = frame.columns(), kept = static_cast<size_t>(order.size());
    expect(symbols, {kept, rows, columns}, "symbols");
    expect(low, {3, rows, columns}, "low");
    expect(scales, {kBands}, "scales");
    if (correction) expect(*correction, {kBands, rows, columns}, "correction");
    const Kernels& kernels = kernels_of(path);
    Source sources[kBands] = {};
    for (size_t band = 0; band < kBands; ++band) {
        sources[band].scale = scales.data()[band];
        if (correction)
            sources[band].correction = reinterpret_cast<const uint16_t*>(correction->data()) + band * rows * columns;
        if (band % 64 == 0) sources[band].plane = low.data() + band / 64 * rows * columns;
    }
    for (size_t i = 0; i < kept; ++i) {
        const int32_t band = order.data()[i];
        if (band < 0 || band >= static_cast<int32_t>(kBands))
            throw std::invalid_argument("order names a band that does not exist");
        sources[band].symbols = symbols.data() + i * rows * columns;
    }
    Array<uint8_t> pixels({frame.height, frame.width, frame.channels});
    uint8_t* to = pixels.mutable_data();
    const py::gil_scoped_release unlocked;
    synthesise(frame, sources, to, threads_of(threads), kernels);
    return pixels;
}

// (2 * planes + extra, rows, columns) words of bfloat16, as int16; the extra planes are zero.
Array<int16_t> describe_planes(const Array<int32_t>& values, const Array<uint8_t>& rungs, size_t extra,
                               py::ssize_t threads, const PathName& path) {
    if (values.ndim() != 3) throw std::invalid_argument("values must be (planes, rows, columns)");
    const auto planes = static_cast<size_t>(values.shape(0)), rows = static_cast<size_t>(values.shape(1)),
               columns = static_cast<size_t>(values.shape(2));
    expect(rungs, {planes, rows, columns}, "rungs");
    if (extra > 1024) throw std::invalid_argument("extra is out of range");
    const Kernels& kernels = kernels_of(path);
    Array<int16_t> out = kept_array<int16_t>({2 * planes + extra, rows, columns});
    auto* to = reinterpret_cast<uint16_t*>(out.mutable_data());
    const py::gil_scoped_release unlocked;
    describe(values.data(), rungs.data(), planes, rows * columns, to, threads_of(threads), kernels);
    std::fill_n(to + 2 * planes * rows * columns, extra * rows * columns, uint16_t{0});
    return out;
}

Array<float> merge_pyramid(const std::vector<Array<int32_t>>& details, const std::vector<Array<float>>& scales,
                           const Array<float>& low, py::ssize_t height, py::ssize_t width) {
    if (details.size() > kMostLevels || scales.size() != details.size())
        throw std::invalid_argument("details and scales must have as many levels, and few");
    size_t h = side(height, "height"), w = side(width, "width");
    std::vector<Details> levels;
    for (size_t level = 0; level < details.size(); ++level) {
        h = (h + 1) / 2;
        w = (w + 1) / 2;
        expect(details[level], {9, h, w}, "details");
        expect(scales[level], {9}, "scales");
        levels.push_back({details[level].data(), scales[level].data()});
    }
    expect(low, {3, h, w}, "low");
    const size_t rows = static_cast<size_t>(height), columns = static_cast<size_t>(width);
    std::vector<float> plane;
    {
        const py::gil_scoped_release unlocked;
        plane = unpyramid(levels, low.data(), rows, columns);
    }
    return as_array(std::move(plane)).reshape({size_t{3}, rows, columns});
}

// -- prior ------------------------------------------------------------------------------------------------------------

Weights weights_of(const Array<int32_t>& array, const char* name) {
    if (array.ndim() != 4 || array.shape(2) != array.shape(3)) {
        throw std::invalid_argument(std::string(name) + " must be (outputs, inputs, side, side)");
    }
    return {array.data(), static_cast<size_t>(array.shape(0)), static_cast<size_t>(array.shape(1)),
            static_cast<size_t>(array.shape(2))};
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
py::tuple ask(Walk& self, size_t slice, int parity, const Array<int32_t>& bias) {
    const Slice& part = slice_of(self, slice, parity, bias);
    Array<uint8_t> indices(static_cast<py::ssize_t>(part.count * self.cells(parity)));
    uint8_t* to = indices.mutable_data();
    std::vector<int32_t> none;
    std::vector<uint8_t> low;
    {
        const py::gil_scoped_release unlocked;
        if (self.answer(slice, parity, bias.data(), to)) self.split_wide(nullptr, none, low);
    }
    return py::make_tuple(indices, as_array(std::move(low)));
}

void tell(Walk& self, Array<int32_t>& symbols, const Optional<int32_t>& low) {
    if (static_cast<size_t>(symbols.size()) != self.pass_size())
        throw std::invalid_argument("symbols has the wrong size");
    if ((low ? static_cast<size_t>(low->size()) : 0) != self.wide()) throw std::invalid_argument("low has the wrong size");
    int32_t* whole = symbols.mutable_data();
    const int32_t* parts = low ? low->data() : nullptr;
    const py::gil_scoped_release unlocked;
    self.take(whole, parts);
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
        if (self.answer_and_round(slice, parity, bias.data(), scaled.data(), margins.data(), to_indices, to_symbols)) {
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
        "The inner loops of family `wavelet` in C++; twins of models/transform/packet.py and models/prior/bands.py.";
    bind_dispatch(module, dispatch());
    module.def("has_bfloat16_products", &has_bfloat16_products);
    module.def("analyse", &analyse_frame, py::arg("pixels").noconvert(), py::arg("order").noconvert(),
               py::arg("scales").noconvert(), py::arg("threads") = 1, py::arg("path") = py::none());
    module.def("synthesise", &synthesise_frame, py::arg("symbols").noconvert(), py::arg("low").noconvert(),
               py::arg("order").noconvert(), py::arg("scales").noconvert(), py::arg("correction").noconvert(),
               py::arg("height"), py::arg("width"), py::arg("channels"), py::arg("threads") = 1,
               py::arg("path") = py::none());
    module.def("describe", &describe_planes, py::arg("values").noconvert(), py::arg("rungs").noconvert(),
               py::arg("extra"), py::arg("threads") = 1, py::arg("path") = py::none());
    module.def("unpyramid", &merge_pyramid, py::arg("details").noconvert(), py::arg("scales").noconvert(),
               py::arg("low").noconvert(), py::arg("height"), py::arg("width"));
    py::class_<Level, std::shared_ptr<Level>>(module, "Level")
        .def(py::init(
                 [](const Array<int32_t>& coarse) { return std::make_shared<Level>(weights_of(coarse, "coarse")); }),
             py::arg("coarse").noconvert())
        .def("add", &add_slice, py::arg("first").noconvert(), py::arg("near").noconvert(),
             py::arg("second").noconvert(), py::arg("context").noconvert())
        .def(
            "listen", [](Level& self, const Array<int32_t>& hints) { self.listen(weights_of(hints, "hints")); },
            py::arg("hints").noconvert());
    py::class_<Walk>(module, "Walk")
        .def(py::init(&make_walk), py::arg("level"), py::arg("height"), py::arg("width"), py::arg("bias").noconvert(),
             py::arg("coarser").noconvert(), py::arg("keep"), py::arg("threads") = 1, py::arg("path") = py::none(),
             py::arg("hints").noconvert() = py::none())
        .def("ask", &ask, py::arg("slice"), py::arg("parity"), py::arg("bias").noconvert())
        .def("tell", &tell, py::arg("symbols").noconvert(), py::arg("low").noconvert())
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
    bind_exact(module);
    bind_frame(module);
    bind_motion(module);
    bind_network(module);
    bind_words(module);
}

}  // namespace tessera
