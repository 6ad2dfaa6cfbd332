// numpy buffers to motion compensation and search, checked as in bindings.cpp.
#include <algorithm>

#include "bindings.hpp"
#include "motion.hpp"
#include "motion_loops.hpp"
#include "search.hpp"

namespace tessera {
namespace {

size_t block_of(py::ssize_t block) {
    const auto side = static_cast<size_t>(block);
    if (side != kSmallBlock && side != kLargeBlock) throw std::invalid_argument("block must be 8 or 16");
    return side;
}

// Without the interpreter's lock: a plane is long.
void check_samples(const Array<int16_t>& plane) {
    const int16_t *first = plane.data(), *last = first + plane.size();
    int16_t least = 0, most = 0;
    {
        const py::gil_scoped_release unlocked;
        for (; first != last; ++first) {
            least = std::min(least, *first);
            most = std::max(most, *first);
        }
    }
    if (least < -kLargestSample || most > kLargestSample) throw std::invalid_argument("a sample is out of range");
}

Array<int16_t> compensate_planes(const std::vector<Array<int16_t>>& references, const Array<int16_t>& fields,
                                 const Optional<uint8_t>& modes, py::ssize_t block, py::ssize_t threads,
                                 const PathName& path) {
    Motion motion{};
    motion.references = references.size();
    if (motion.references != 1 && motion.references != 2)
        throw std::invalid_argument("there must be one reference or two");
    if (references[0].ndim() != 3) throw std::invalid_argument("a reference must be (3, height, width)");
    motion.height = side(references[0].shape(1), "height");
    motion.width = side(references[0].shape(2), "width");
    motion.block = block_of(block);
    for (size_t r = 0; r < motion.references; ++r) {
        expect(references[r], {3, motion.height, motion.width}, "a reference");
        check_samples(references[r]);
        motion.planes[r] = references[r].data();
    }
    expect(fields, {motion.references, motion.rows(), motion.columns(), 2}, "fields");
    motion.fields = fields.data();
    if (modes) {
        expect(*modes, {motion.rows(), motion.columns()}, "modes");
        const uint8_t most = motion.references == 2 ? kBoth : uint8_t{0};
        if (std::any_of(modes->data(), modes->data() + modes->size(), [&](uint8_t mode) { return mode > most; }))
            throw std::invalid_argument("modes names a reference that does not exist");
        motion.modes = modes->data();
    }
    const Kernels& kernels = kernels_of(path);
    Array<int16_t> out = kept_array<int16_t>({3, motion.height, motion.width});
    int16_t* to = out.mutable_data();
    const py::gil_scoped_release unlocked;
    compensate(motion, to, threads_of(threads), kernels);
    return out;
}

MotionSearch search_of(const Array<int16_t>& current, const std::vector<const Array<int16_t>*>& references,
                       py::ssize_t block, float price) {
    MotionSearch motion{};
    if (current.ndim() != 2) throw std::invalid_argument("current must be (height, width)");
    motion.height = side(current.shape(0), "height");
    motion.width = side(current.shape(1), "width");
    if (motion.height % 8 != 0 || motion.width % 8 != 0)
        throw std::invalid_argument("height and width must be multiples of 8");
    motion.block = block_of(block);
    if (!(price >= 0.0f && price < 1e9f)) throw std::invalid_argument("price is out of range");
    motion.price = price;
    motion.knee = static_cast<int16_t>(std::clamp(kKneesAPrice * price, 1.0f, static_cast<float>(kLargestKnee)));
    check_samples(current);
    motion.current = current.data();
    motion.references = references.size();
    for (size_t r = 0; r < references.size(); ++r) {
        expect(*references[r], {motion.height, motion.width}, "a reference");
        check_samples(*references[r]);
        motion.planes[r] = references[r]->data();
    }
    return motion;
}

Array<int16_t> search_field(const Array<int16_t>& current, const Array<int16_t>& reference, py::ssize_t block,
                            const Optional<int16_t>& guess, float price, py::ssize_t radius, py::ssize_t threads,
                            const PathName& path) {
    const MotionSearch motion = search_of(current, {&reference}, block, price);
    if (guess) expect(*guess, {motion.rows(), motion.columns(), 2}, "guess");
    if (radius < 0 || radius > kLongestVector / 4) throw std::invalid_argument("radius is out of range");
    const Kernels& kernels = kernels_of(path);
    Array<int16_t> field = kept_array<int16_t>({motion.rows(), motion.columns(), 2});
    int16_t* to = field.mutable_data();
    const int16_t* known = guess ? guess->data() : nullptr;
    const py::gil_scoped_release unlocked;
    search(motion, known, static_cast<size_t>(radius), to, threads_of(threads), kernels);
    return field;
}

// (fields, modes)
py::tuple decide_modes(const Array<int16_t>& current, const std::vector<Array<int16_t>>& references,
                       const Array<int16_t>& fields, py::ssize_t block, const Optional<int16_t>& guesses, float price,
                       py::ssize_t threads, const PathName& path) {
    if (references.size() != 2) throw std::invalid_argument("there must be two references");
    const MotionSearch motion = search_of(current, {&references[0], &references[1]}, block, price);
    expect(fields, {2, motion.rows(), motion.columns(), 2}, "fields");
    if (guesses) expect(*guesses, {2, motion.rows(), motion.columns(), 2}, "guesses");
    const int16_t* known = guesses ? guesses->data() : nullptr;
    const Kernels& kernels = kernels_of(path);
    Array<int16_t> found = kept_array<int16_t>({2, motion.rows(), motion.columns(), 2});
    Array<uint8_t> modes = kept_array<uint8_t>({motion.rows(), motion.columns()});
    std::copy_n(fields.data(), fields.size(), found.mutable_data());
    int16_t* to_fields = found.mutable_data();
    uint8_t* to_modes = modes.mutable_data();
    {
        const py::gil_scoped_release unlocked;
        decide(motion, known, to_fields, to_modes, threads_of(threads), kernels);
    }
    return py::make_tuple(found, modes);
}

}  // namespace

void bind_motion(py::module_& module) {
    module.def("compensate", &compensate_planes, py::arg("references").noconvert(), py::arg("fields").noconvert(),
               py::arg("modes").noconvert(), py::arg("block"), py::arg("threads") = 1, py::arg("path") = py::none());
    module.def("search", &search_field, py::arg("current").noconvert(), py::arg("reference").noconvert(),
               py::arg("block"), py::arg("guess").noconvert(), py::arg("price"), py::arg("radius"),
               py::arg("threads") = 1, py::arg("path") = py::none());
    module.def("decide", &decide_modes, py::arg("current").noconvert(), py::arg("references").noconvert(),
               py::arg("fields").noconvert(), py::arg("block"), py::arg("guesses").noconvert(), py::arg("price"),
               py::arg("threads") = 1, py::arg("path") = py::none());
}

}  // namespace tessera
