// What every extension shows of its dispatch: which path runs, and which ones could.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dispatch.hpp"

namespace tessera {

// A path as Python names it: None for the fastest.
using PathName = std::optional<std::string>;

template <typename Table>
const Table& find(const Dispatch<Table>& dispatch, const PathName& path) {
    return dispatch.find(path ? path->c_str() : nullptr);
}

// For a module of one or more kinds of kernels: cpu_path(path) names the furthest path whose kernels run when `path` is
// asked for; cpu_paths() names all that have kernels of some kind and run here, slowest first. The dispatches must
// outlive the module.
template <typename... Tables>
void bind_dispatch(pybind11::module_& module, const Dispatch<Tables>&... dispatches) {
    module.def(
        "cpu_path",
        [&dispatches...](const PathName& path) { return name_of(std::max({find(dispatches, path).path...})); },
        pybind11::arg("path") = pybind11::none());
    module.def("cpu_paths", [&dispatches...] {
        std::set<Path> found;
        const auto add = [&found](const auto& tables) {
            for (const auto* table : tables) found.insert(table->path);
        };
        (add(dispatches.available()), ...);
        std::vector<std::string> names;
        for (Path path : found) names.emplace_back(name_of(path));
        return names;
    });
}

}  // namespace tessera
