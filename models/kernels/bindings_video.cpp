// numpy buffers to the exact transform, checked as in bindings.cpp.
#include "bindings.hpp"
#include "exact.hpp"
#include "threads.hpp"

namespace tessera {
namespace {


template <typename T>
size_t extent(const Array<T>& array, size_t axis) {
    return static_cast<size_t>(array.shape(static_cast<py::ssize_t>(axis)));
}

// (bands, rows, columns), none of them empty but the first.
template <typename T>
void expect_bands(const Array<T>& array, const char* name) {
    if (array.ndim() != 3) throw std::invalid_argument(std::string(name) + " must be (bands, rows, columns)");
    side(array.shape(1), "rows");
    side(array.shape(2), "columns");
}

template <typename T>
void expect_like(const Optional<T>& array, const Array<T>& other, const char* name) {
    if (array) expect(*array, {extent(other, 0), extent(other, 1), extent(other, 2)}, name);
}

Frame frame_of(py::ssize_t height, py::ssize_t width, py::ssize_t channels) {
    if (channels != 1 && channels != 3) throw std::invalid_argument("channels must be 1 or 3");
    return {side(height, "height"), side(width, "width"), static_cast<size_t>(channels)};
}

// Planes of the bands that `order` names, by band. T is int32_t or const int32_t.
template <typename T>
std::vector<T*> planes_of(const Array<int32_t>& order, T* packet, T* low, size_t cells) {
    if (order.ndim() != 1) throw std::invalid_argument("order must be 1-D");
    std::vector<T*> planes(kBands, nullptr);
    for (size_t axis = 0; axis < 3; ++axis) planes[64 * axis] = low + axis * cells;
    for (size_t i = 0; i < extent(order, 0); ++i) {
        const int32_t band = order.data()[i];
        if (band < 0 || band >= static_cast<int32_t>(kBands))
            throw std::invalid_argument("order names a band that does not exist");
        T*& plane = planes[static_cast<size_t>(band)];
        if (plane != nullptr) throw std::invalid_argument("order names a low band, or a band twice");
        plane = packet + i * cells;
    }
    return planes;
}

Array<int16_t> make_planes(const Array<uint8_t>& pixels, py::ssize_t threads, const PathName& path) {
    if (pixels.ndim() != 3) throw std::invalid_argument("pixels must be (height, width, channels)");
    const Frame frame = frame_of(pixels.shape(0), pixels.shape(1), pixels.shape(2));
    const Kernels& kernels = kernels_of(path);
    Array<int16_t> planes = kept_array<int16_t>({3, 8 * frame.rows(), 8 * frame.columns()});
    int16_t* to = planes.mutable_data();
    const py::gil_scoped_release unlocked;
    exact_planes(frame, pixels.data(), to, threads_of(threads), kernels);
    return planes;
}

Array<uint8_t> make_pixels(const Array<int16_t>& planes, py::ssize_t height, py::ssize_t width, py::ssize_t channels,
                           py::ssize_t threads, const PathName& path) {
    const Frame frame = frame_of(height, width, channels);
    expect(planes, {3, 8 * frame.rows(), 8 * frame.columns()}, "planes");
    const Kernels& kernels = kernels_of(path);
    Array<uint8_t> pixels({frame.height, frame.width, frame.channels});
    uint8_t* to = pixels.mutable_data();
    const py::gil_scoped_release unlocked;
    exact_pixels(frame, planes.data(), to, threads_of(threads), kernels);
    return pixels;
}

py::tuple analyse_planes(const Array<int16_t>& planes, const Array<int32_t>& order, py::ssize_t threads,
                         const PathName& path) {
    expect_bands(planes, "planes");
    const size_t rows = extent(planes, 1) / 8, columns = extent(planes, 2) / 8;
    expect(planes, {3, 8 * rows, 8 * columns}, "planes");
    if (rows == 0 || columns == 0) throw std::invalid_argument("planes has the wrong shape");
    if (order.ndim() != 1 || extent(order, 0) > kBands) throw std::invalid_argument("order must be 1-D, 192 at most");
    const Kernels& kernels = kernels_of(path);
    Array<int32_t> packet = kept_array<int32_t>({extent(order, 0), rows, columns}),
                   low = kept_array<int32_t>({3, rows, columns});
    const auto bands = planes_of(order, packet.mutable_data(), low.mutable_data(), rows * columns);
    {
        const py::gil_scoped_release unlocked;
        exact_analyse(planes.data(), rows, columns, bands.data(), threads_of(threads), kernels);
    }
    return py::make_tuple(packet, low);
}

Array<int16_t> synthesise_planes(const Array<int32_t>& packet, const Array<int32_t>& low, const Array<int32_t>& order,
                                 py::ssize_t threads, const PathName& path) {
    expect_bands(packet, "packet");
    const size_t rows = extent(packet, 1), columns = extent(packet, 2);
    expect(low, {3, rows, columns}, "low");
    expect(order, {extent(packet, 0)}, "order");
    const Kernels& kernels = kernels_of(path);
    const auto bands = planes_of(order, packet.data(), low.data(), rows * columns);
    Array<int16_t> planes = kept_array<int16_t>({3, 8 * rows, 8 * columns});
    int16_t* to = planes.mutable_data();
    const py::gil_scoped_release unlocked;
    exact_synthesise(bands.data(), rows, columns, to, threads_of(threads), kernels);
    return planes;
}

// Axes of so many cells that are worth a thread.
size_t worth(size_t cells) { return cells < 4096 ? 3 : 1; }

Array<int16_t> pad(const Array<int32_t>& lifted, py::ssize_t threads, const PathName& path) {
    expect_bands(lifted, "lifted");
    if (extent(lifted, 0) != 3) throw std::invalid_argument("lifted has the wrong shape");
    const size_t height = extent(lifted, 1), width = extent(lifted, 2);
    const Frame frame{height, width, 3};
    Array<int16_t> planes = kept_array<int16_t>({3, kCell * frame.rows(), kCell * frame.columns()});
    int16_t* to = planes.mutable_data();
    const Kernels& kernels = kernels_of(path);
    const py::gil_scoped_release unlocked;
    exact_pad(lifted.data(), height, width, to, threads_of(threads), kernels);
    return planes;
}

Array<int32_t> crop(const Array<int16_t>& planes, py::ssize_t height, py::ssize_t width, py::ssize_t threads) {
    const Frame frame{side(height, "height"), side(width, "width"), 3};
    expect(planes, {3, kCell * frame.rows(), kCell * frame.columns()}, "planes");
    Array<int32_t> lifted = kept_array<int32_t>({3, frame.height, frame.width});
    int32_t* to = lifted.mutable_data();
    const py::gil_scoped_release unlocked;
    exact_crop(planes.data(), frame.height, frame.width, to, threads_of(threads));
    return lifted;
}

// (details, low)
py::tuple split_low(Array<int32_t> low, size_t levels, py::ssize_t threads, const PathName& path) {
    expect_bands(low, "low");
    if (extent(low, 0) != 3) throw std::invalid_argument("low has the wrong shape");
    if (levels > kMostLevels) throw std::invalid_argument("levels is out of range");
    const Kernels& kernels = kernels_of(path);
    py::list details;
    for (size_t level = 0; level < levels; ++level) {
        const size_t height = extent(low, 1), width = extent(low, 2), h = (height + 1) / 2, w = (width + 1) / 2;
        Array<int32_t> detail = kept_array<int32_t>({9, h, w}), next = kept_array<int32_t>({3, h, w});
        const int32_t* from = low.data();
        int32_t *to = next.mutable_data(), *beside = detail.mutable_data();
        {
            const py::gil_scoped_release unlocked;
            in_parts(3, threads_of(threads), worth(h * w), [&](size_t first, size_t last) {
                for (size_t axis = first; axis < last; ++axis) {
                    exact_split(from + axis * height * width, height, width, to + axis * h * w,
                                beside + 3 * axis * h * w, kernels);
                }
            });
        }
        details.append(detail);
        low = next;
    }
    return py::make_tuple(details, low);
}

Array<int32_t> merge_low(const std::vector<Array<int32_t>>& details, Array<int32_t> low, py::ssize_t height,
                         py::ssize_t width, py::ssize_t threads, const PathName& path) {
    if (details.size() > kMostLevels) throw std::invalid_argument("details has too many levels");
    const Kernels& kernels = kernels_of(path);
    std::vector<std::pair<size_t, size_t>> sizes{{side(height, "height"), side(width, "width")}};
    for (const Array<int32_t>& detail : details) {
        sizes.emplace_back((sizes.back().first + 1) / 2, (sizes.back().second + 1) / 2);
        expect(detail, {9, sizes.back().first, sizes.back().second}, "details");
    }
    expect(low, {3, sizes.back().first, sizes.back().second}, "low");
    for (size_t level = details.size(); level-- > 0;) {
        const auto [h, w] = sizes[level + 1];
        const auto [tall, wide] = sizes[level];
        Array<int32_t> plane = kept_array<int32_t>({3, tall, wide});
        const int32_t *from = low.data(), *beside = details[level].data();
        int32_t* to = plane.mutable_data();
        {
            const py::gil_scoped_release unlocked;
            in_parts(3, threads_of(threads), worth(h * w), [&](size_t first, size_t last) {
                for (size_t axis = first; axis < last; ++axis) {
                    exact_merge(from + axis * h * w, beside + 3 * axis * h * w, tall, wide, to + axis * tall * wide,
                                kernels);
                }
            });
        }
        low = plane;
    }
    return low;
}

// One number per band, 1 <= number < limit or 0 <= number < limit.
void expect_numbers(const Array<int64_t>& numbers, size_t count, int64_t smallest, int64_t limit, const char* name) {
    expect(numbers, {count}, name);
    for (size_t i = 0; i < count; ++i) {
        if (numbers.data()[i] < smallest || numbers.data()[i] >= limit)
            throw std::invalid_argument(std::string(name) + " is out of range");
    }
}

Array<int32_t> restore_bands(const Array<int32_t>& symbols, const Array<int64_t>& steps,
                             const Optional<int32_t>& prediction, py::ssize_t threads,
                             const PathName& path) {
    expect_bands(symbols, "symbols");
    expect_like(prediction, symbols, "prediction");
    const size_t count = extent(symbols, 0), rows = extent(symbols, 1), columns = extent(symbols, 2);
    expect_numbers(steps, count, 1, int64_t{1} << 31, "steps");
    const Kernels& kernels = kernels_of(path);
    Array<int32_t> out = kept_array<int32_t>({count, rows, columns});
    int32_t* to = out.mutable_data();
    const int32_t* known = prediction ? prediction->data() : nullptr;
    const py::gil_scoped_release unlocked;
    restore(symbols.data(), steps.data(), known, count, rows * columns, to, threads_of(threads), kernels);
    return out;
}

// Bands of each source after those of the one before.
Array<int32_t> hint_bands(const std::vector<Array<int32_t>>& sources, const Array<int64_t>& reciprocals,
                          py::ssize_t threads, const PathName& path) {
    if (sources.empty()) throw std::invalid_argument("sources is empty");
    expect_bands(sources[0], "a source");
    const size_t count = extent(sources[0], 0), rows = extent(sources[0], 1), columns = extent(sources[0], 2);
    for (const Array<int32_t>& source : sources) expect(source, {count, rows, columns}, "a source");
    expect_numbers(reciprocals, count, 0, int64_t{1} << 40, "reciprocals");
    const Kernels& kernels = kernels_of(path);
    Array<int32_t> out = kept_array<int32_t>({sources.size() * count, rows, columns});
    int32_t* to = out.mutable_data();
    const size_t size = count * rows * columns;
    const py::gil_scoped_release unlocked;
    for (size_t i = 0; i < sources.size(); ++i)
        hints(sources[i].data(), reciprocals.data(), count, rows * columns, to + i * size, threads_of(threads), kernels);
    return out;
}

// Sum of costs (256,) of the hints of what is left of bands.
int64_t left_to_code(const Array<int32_t>& bands, const Optional<int32_t>& prediction,
                     const Array<int64_t>& reciprocals, const Array<int32_t>& costs, py::ssize_t threads,
                     const PathName& path) {
    expect_bands(bands, "bands");
    expect_like(prediction, bands, "prediction");
    const size_t count = extent(bands, 0), cells = extent(bands, 1) * extent(bands, 2);
    expect_numbers(reciprocals, count, 0, int64_t{1} << 40, "reciprocals");
    expect(costs, {256}, "costs");
    const Kernels& kernels = kernels_of(path);
    const int32_t* known = prediction ? prediction->data() : nullptr;
    const py::gil_scoped_release unlocked;
    return effort(bands.data(), known, reciprocals.data(), count, cells, costs.data(), threads_of(threads), kernels);
}

Array<float> scale_residual(const Array<int32_t>& bands, const Optional<int32_t>& prediction,
                            const Array<float>& inverse, py::ssize_t threads, const PathName& path) {
    expect_bands(bands, "bands");
    expect_like(prediction, bands, "prediction");
    const size_t count = extent(bands, 0), rows = extent(bands, 1), columns = extent(bands, 2);
    expect(inverse, {count}, "inverse");
    const Kernels& kernels = kernels_of(path);
    Array<float> out = kept_array<float>({count, rows * columns});
    float* to = out.mutable_data();
    const int32_t* known = prediction ? prediction->data() : nullptr;
    const py::gil_scoped_release unlocked;
    scaled_residual(bands.data(), known, inverse.data(), count, rows, columns, to, threads_of(threads), kernels);
    return out;
}

}  // namespace

void bind_exact(py::module_& module) {
    const auto threads = py::arg("threads") = 1;
    const auto path = py::arg("path") = py::none();
    module.def("exact_planes", &make_planes, py::arg("pixels").noconvert(), threads, path);
    module.def("exact_pixels", &make_pixels, py::arg("planes").noconvert(), py::arg("height"), py::arg("width"),
               py::arg("channels"), threads, path);
    module.def("exact_analyse", &analyse_planes, py::arg("planes").noconvert(), py::arg("order").noconvert(), threads,
               path);
    module.def("exact_synthesise", &synthesise_planes, py::arg("packet").noconvert(), py::arg("low").noconvert(),
               py::arg("order").noconvert(), threads, path);
    module.def("exact_pyramid", &split_low, py::arg("low").noconvert(), py::arg("levels"), threads, path);
    module.def("exact_unpyramid", &merge_low, py::arg("details").noconvert(), py::arg("low").noconvert(),
               py::arg("height"), py::arg("width"), threads, path);
    module.def("exact_pad", &pad, py::arg("lifted").noconvert(), threads, path);
    module.def("exact_crop", &crop, py::arg("planes").noconvert(), py::arg("height"), py::arg("width"), threads);
    module.def("restore", &restore_bands, py::arg("symbols").noconvert(), py::arg("steps").noconvert(),
               py::arg("prediction").noconvert(), threads, path);
    module.def("hints", &hint_bands, py::arg("sources").noconvert(), py::arg("reciprocals").noconvert(), threads, path);
    module.def("effort", &left_to_code, py::arg("bands").noconvert(), py::arg("prediction").noconvert(),
               py::arg("reciprocals").noconvert(), py::arg("costs").noconvert(), threads, path);
    module.def("scaled_residual", &scale_residual, py::arg("bands").noconvert(), py::arg("prediction").noconvert(),
               py::arg("inverse").noconvert(), threads, path);
}

}  // namespace tessera
