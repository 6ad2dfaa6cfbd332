// numpy buffers and a coder's capsule to the walk over a dyadic pyramid. Shapes are checked here, the work is done
// without the interpreter's lock.
#include <algorithm>

#include "bindings.hpp"
#include "dyadic_frame.hpp"

namespace tessera {
namespace {

using PassArrays = std::pair<Array<int32_t>, Array<int32_t>>;
using LevelArrays = std::tuple<std::shared_ptr<DyadicLevel>, Array<int32_t>, std::vector<PassArrays>, Array<int64_t>,
                               Array<float>, int64_t>;

void add(DyadicLevel& self, const std::pair<Array<int32_t>, Array<int32_t>>& view, const Array<int32_t>& near,
         const std::pair<Array<int32_t>, Array<int32_t>>& heads, const Optional<int32_t>& context) {
    const Weights views[2] = {weights_of(view.first, "view"), weights_of(view.second, "view")};
    const Weights answers[2] = {weights_of(heads.first, "heads"), weights_of(heads.second, "heads")};
    if (context) {
        const Weights last = weights_of(*context, "context");
        self.add(views, weights_of(near, "near"), answers, &last);
    } else {
        self.add(views, weights_of(near, "near"), answers, nullptr);
    }
}

DyadicPlan make_plan(py::ssize_t height, py::ssize_t width, size_t channels, const std::vector<LevelArrays>& levels,
                     const Array<uint8_t>& low_rungs, int64_t low_step, uint8_t first_sign,
                     uint8_t first_odd) {
    DyadicPlan plan{side(height, "height"), side(width, "width"), channels, {}, numbers(low_rungs), low_step,
                    first_sign, first_odd};
    if (levels.size() > kMostLevels) throw std::invalid_argument("there are too many levels");
    for (size_t at = 0; at < levels.size(); ++at) {
        const auto& [level, bias, passes, half_steps, inverse, reciprocal] = levels[at];
        const size_t number = levels.size() - at;  // a level has ceil(side / 2^number) cells to a side
        const auto cells = [&](size_t pixels) { return ((pixels - 1) >> number) + 1; };
        DyadicLevelPlan one{level, cells(plan.height), cells(plan.width), numbers(bias), {}, numbers(half_steps),
                            numbers(inverse), reciprocal};
        for (const auto& [views, answers] : passes) one.passes.push_back({numbers(views), numbers(answers)});
        plan.levels.push_back(std::move(one));
    }
    plan.check();
    return plan;
}

// (details from coarse to fine, low band, planes, spent from coarse to fine, rates of rungs beside)
py::tuple as_tuple(const DyadicPlan& plan, DyadicFrame frame) {
    py::list details, spent;
    for (size_t at = 0; at < frame.details.size(); ++at) {
        const DyadicLevelPlan& level = plan.levels[at];
        details.append(handed_over(std::move(frame.details[at]), {kDyadicBands, level.height, level.width}));
    }
    for (size_t at = 0; at < frame.spent.size(); ++at) {
        spent.append(copied(frame.spent[at], {plan.levels[at].height, plan.levels[at].width}));
    }
    return py::make_tuple(details, copied(frame.low, {kAxes, plan.low_height(), plan.low_width()}),
                          handed_over(std::move(frame.planes), {kAxes, plan.height, plan.width}), spent,
                          copied(frame.weighed, {frame.weighed.size() / kOffsets, kOffsets}));
}

py::tuple read(const DyadicPlan& self, const py::object& port, bool keep, const Optional<int32_t>& costs,
               const Optional<int32_t>& sign_costs, py::ssize_t threads, const PathName& path) {
    if (costs.has_value() != sign_costs.has_value()) throw std::invalid_argument("costs need those of signs");
    if (costs) expect(*costs, {kQuantisers, kRungs, kCostColumns}, "costs");
    if (sign_costs) expect(*sign_costs, {kSignTables, 2}, "sign_costs");
    const SymbolPort* from = port.is_none() ? nullptr : port_of(port);
    const DyadicInputs inputs{from, keep, false, costs ? costs->data() : nullptr, sign_costs ? sign_costs->data() : nullptr,
                              threads_of(threads), kernels_of(path)};
    return as_tuple(self, unlocked(from, [&] { return read_dyadic(self, inputs); }));
}

py::tuple code(const DyadicPlan& self, const py::object& port, const std::vector<Array<int32_t>>& details,
               const Array<int32_t>& low, const Array<int32_t>& rates, bool keep, bool weigh, py::ssize_t threads,
               const PathName& path) {
    expect(rates, {kQuantisers, kRungs, kRateColumns}, "rates");
    check_rates(rates.data());
    expect(low, {self.channels, self.low_height(), self.low_width()}, "low");
    if (details.size() != self.levels.size()) throw std::invalid_argument("details must be of every level");
    std::vector<const int32_t*> bands;
    for (size_t at = 0; at < details.size(); ++at) {
        expect(details[at], {kDyadicBands, self.levels[at].height, self.levels[at].width}, "details");
        bands.push_back(details[at].data());
    }
    const SymbolPort* to = port.is_none() ? nullptr : port_of(port);
    const DyadicInputs inputs{to, keep, weigh, nullptr, nullptr, threads_of(threads), kernels_of(path)};
    return as_tuple(self, unlocked(to, [&] { return code_dyadic(self, inputs, bands, low.data(), rates.data()); }));
}

// (magnitudes, quantisers)
py::tuple choose(const Array<int32_t>& distances, const Array<uint8_t>& rungs, const Array<int32_t>& rates,
                 const PathName& path) {
    expect(distances, {numbers(rungs).size()}, "distances");
    expect(rates, {kQuantisers, kRungs, kRateColumns}, "rates");
    check_rates(rates.data());
    const std::vector<int32_t> from = numbers(distances);
    const auto outside = [](int32_t distance) { return distance < 0 || distance > kLargestDistance; };
    if (std::any_of(from.begin(), from.end(), outside)) throw std::invalid_argument("a distance does not fit");
    const std::vector<uint8_t> named = numbers(rungs);
    if (std::any_of(named.begin(), named.end(), [](uint8_t rung) { return rung >= kRungs; })) {
        throw std::invalid_argument("a rung does not fit");
    }
    std::vector<int32_t> magnitudes(numbers(rungs).size());
    std::vector<uint8_t> quantisers(magnitudes.size());
    Trellis(rates.data(), find(dyadic_dispatch(), path))
        .choose(distances.data(), rungs.data(), magnitudes.size(), magnitudes.data(), quantisers.data());
    return py::make_tuple(copied(magnitudes, {magnitudes.size()}), copied(quantisers, {quantisers.size()}));
}

Array<uint8_t> quantisers(const Array<int32_t>& values) {
    const std::vector<int32_t> of = numbers(values);
    std::vector<uint8_t> found(of.size());
    name_quantisers(of.data(), of.size(), found.data());
    return copied(found, {found.size()});
}

}  // namespace

void bind_dyadic(py::module_& module) {
    py::class_<DyadicLevel, std::shared_ptr<DyadicLevel>>(module, "DyadicLevel")
        .def(py::init([](const Array<int32_t>& parent, const Array<int32_t>& low) {
                 return std::make_shared<DyadicLevel>(weights_of(parent, "parent"), weights_of(low, "low"));
             }),
             py::arg("parent").noconvert(), py::arg("low").noconvert())
        .def("add", &add, py::arg("view"), py::arg("near").noconvert(), py::arg("heads"),
             py::arg("context").noconvert());
    module.def("choose_values", &choose, py::arg("distances").noconvert(), py::arg("rungs").noconvert(),
               py::arg("rates").noconvert(), py::arg("path") = py::none());
    module.def("quantisers", &quantisers, py::arg("values").noconvert());
    py::class_<DyadicPlan>(module, "DyadicPlan")
        .def(py::init(&make_plan), py::arg("height"), py::arg("width"), py::arg("channels"), py::arg("levels"),
             py::arg("low_rungs").noconvert(), py::arg("low_step"), py::arg("first_sign"), py::arg("first_odd"))
        .def("read", &read, py::arg("port"), py::arg("keep"), py::arg("costs").noconvert() = py::none(),
             py::arg("sign_costs").noconvert() = py::none(), py::arg("threads") = 1, py::arg("path") = py::none())
        .def("code", &code, py::arg("port"), py::arg("details"), py::arg("low").noconvert(),
             py::arg("rates").noconvert(), py::arg("keep"), py::arg("weigh"), py::arg("threads") = 1,
             py::arg("path") = py::none());
}

}  // namespace tessera
