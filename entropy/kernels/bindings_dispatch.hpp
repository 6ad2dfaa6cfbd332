// What every extension shows of its dispatch: which path runs, and which ones could.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
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

// cpu_path(path) names the path whose kernels run when `path` is asked for; cpu_paths() names all that have kernels of
// their own and run here, slowest first. `dispatch` must outlive the module.
template <typename Table>
void bind_dispatch(pybind11::module_& module, const Dispatch<Table>& dispatch) {
    module.def(
        "cpu_path", [&dispatch](const PathName& path) { return name_of(find(dispatch, path).path); },
        pybind11::arg("path") = pybind11::none());
    module.def("cpu_paths", [&dispatch] {
        std::vector<std::string> names;
        for (const Table* table : dispatch.available()) names.emplace_back(name_of(table->path));
        return names;
    });
}

}  // namespace tessera
