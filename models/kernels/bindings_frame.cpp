// numpy buffers and a coder's capsule to the walk over a whole frame. Shapes are checked here, the work is done without
// the interpreter's lock.
#include "bindings.hpp"
#include "frame.hpp"

namespace tessera {

const SymbolPort* port_of(const py::object& capsule) {
    void* port = PyCapsule_GetPointer(capsule.ptr(), kSymbolPort);
    if (port == nullptr) throw py::error_already_set();
    return static_cast<const SymbolPort*>(port);
}

namespace {

using LevelArrays = std::tuple<std::shared_ptr<Level>, size_t, py::ssize_t, py::ssize_t, Array<int32_t>,
                               std::vector<Array<int32_t>>>;

FramePlan make_plan(py::ssize_t height, py::ssize_t width, const std::vector<LevelArrays>& levels, size_t low_number,
                    py::ssize_t low_height, py::ssize_t low_width, const Array<uint8_t>& low_rungs,
                    uint8_t first_table) {
    FramePlan plan{side(height, "height"),
                   side(width, "width"),
                   {},
                   low_number,
                   side(low_height, "low_height"),
                   side(low_width, "low_width"),
                   {low_rungs.data(), low_rungs.data() + low_rungs.size()},
                   first_table};
    for (const auto& [level, number, rows, columns, bias, answers] : levels) {
        LevelPlan one{level, number, side(rows, "rows"), side(columns, "columns"), numbers(bias), {}};
        for (const Array<int32_t>& answer : answers) one.answers.push_back(numbers(answer));
        plan.levels.push_back(std::move(one));
    }
    plan.check();
    return plan;
}

std::vector<const int32_t*> pointers(const FramePlan& plan, const std::optional<std::vector<Array<int32_t>>>& hints) {
    std::vector<const int32_t*> found(plan.levels.size(), nullptr);
    if (!hints) return found;
    if (hints->size() != found.size()) throw std::invalid_argument("hints must be of every level");
    for (size_t i = 0; i < found.size(); ++i) {
        const LevelPlan& level = plan.levels[i];
        expect((*hints)[i], {level.level->hint_channels, level.height, level.width}, "hints");
        found[i] = (*hints)[i].data();
    }
    return found;
}

// (walks, low band)
py::tuple as_tuple(const FramePlan& plan, Frame& frame) {
    py::list walks;
    for (std::unique_ptr<Walk>& walk : frame.walks) walks.append(py::cast(std::move(walk)));
    return py::make_tuple(walks, copied(frame.low, {kLowPlanes, plan.low_height, plan.low_width}));
}

// (walks, low band, bits or None)
py::tuple read(const FramePlan& self, const py::object& port, const std::optional<std::vector<Array<int32_t>>>& hints,
               const Optional<int32_t>& costs, bool rungs, py::ssize_t threads, const PathName& path) {
    if (costs) expect(*costs, {kRungs, kCostColumns}, "costs");
    const SymbolPort* from = port_of(port);
    const FrameInputs inputs{from, pointers(self, hints), costs ? costs->data() : nullptr,
                             Kept{true, rungs}, threads_of(threads), kernels_of(path)};
    Frame frame = unlocked(from, [&] { return read_frame(self, inputs); });
    const py::tuple found = as_tuple(self, frame);
    py::object bits = py::none();
    if (costs) bits = copied(frame.bits, {self.height, self.width});
    return py::make_tuple(found[0], found[1], bits);
}

py::tuple code(const FramePlan& self, const py::object& port, const std::vector<Array<float>>& scaled,
               const Array<int32_t>& low, const Array<float>& margins,
               const std::optional<std::vector<Array<int32_t>>>& hints, bool keep, py::ssize_t threads,
               const PathName& path) {
    expect(margins, {kRungs, kMargins}, "margins");
    expect(low, {self.low_rungs.size(), self.low_height, self.low_width}, "low");
    if (scaled.size() != self.levels.size()) throw std::invalid_argument("scaled must be of every level");
    std::vector<const float*> bands;
    for (size_t i = 0; i < scaled.size(); ++i) {
        const LevelPlan& level = self.levels[i];
        expect(scaled[i], {level.level->channels, level.height * level.width}, "scaled");
        bands.push_back(scaled[i].data());
    }
    const SymbolPort* to = port.is_none() ? nullptr : port_of(port);
    const FrameInputs inputs{to, pointers(self, hints), nullptr, Kept{keep, keep}, threads_of(threads),
                             kernels_of(path)};
    Frame frame = unlocked(to, [&] { return code_frame(self, inputs, bands, low.data(), margins.data()); });
    return as_tuple(self, frame);
}

}  // namespace

void bind_frame(py::module_& module) {
    py::class_<FramePlan>(module, "FramePlan")
        .def(py::init(&make_plan), py::arg("height"), py::arg("width"), py::arg("levels"), py::arg("low_number"),
             py::arg("low_height"), py::arg("low_width"), py::arg("low_rungs").noconvert(), py::arg("first_table"))
        .def("read", &read, py::arg("port"), py::arg("hints").noconvert(), py::arg("costs").noconvert(),
             py::arg("rungs"), py::arg("threads") = 1, py::arg("path") = py::none())
        .def("code", &code, py::arg("port"), py::arg("scaled").noconvert(), py::arg("low").noconvert(),
             py::arg("margins").noconvert(), py::arg("hints").noconvert(), py::arg("keep"), py::arg("threads") = 1,
             py::arg("path") = py::none());
}

}  // namespace tessera
