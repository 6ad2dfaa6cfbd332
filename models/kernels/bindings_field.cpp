// numpy buffers to motion fields and back, checked as in bindings.cpp.
#include "bindings.hpp"
#include "field.hpp"
#include "frame.hpp"

namespace tessera {
namespace {

constexpr size_t kMostBlocks = size_t{1} << 26;  // beyond all that a frame's limits allow

Grid grid_of(py::ssize_t rows, py::ssize_t columns) {
    const Grid grid{side(rows, "rows"), side(columns, "columns")};
    if (grid.blocks() > kMostBlocks) throw std::invalid_argument("there are too many blocks");
    return grid;
}

const int16_t* guess_of(const Optional<int16_t>& guess, const Grid& grid) {
    if (!guess) return nullptr;
    expect(*guess, {grid.rows, grid.columns, 2}, "a guess");
    return guess->data();
}

template <typename T>
py::array as_array(const std::vector<T>& values) {
    return Array<T>(std::vector<size_t>{values.size()}, values.data());
}

// (kinds, lengths, contexts or tables, symbols)
py::tuple as_tuple(const MotionCalls& calls) {
    return py::make_tuple(as_array(calls.kinds), as_array(calls.lengths), as_array(calls.contexts),
                          as_array(calls.symbols));
}

// (fields, modes or None, calls or None)
py::tuple read(const py::object& capsule, const std::vector<Array<uint8_t>>& maps, py::ssize_t rows,
               py::ssize_t columns, const std::vector<Optional<int16_t>>& guesses, bool keeps) {
    const Grid grid = grid_of(rows, columns);
    const size_t count = guesses.size();
    if (count != 1 && count != 2) throw std::invalid_argument("a frame has one field or two");
    if (maps.size() != kMotionKinds) throw std::invalid_argument("there must be a map of every kind");
    const uint8_t* tables[kMotionKinds];
    for (size_t kind = 0; kind < kMotionKinds; ++kind) {
        expect(maps[kind], {kContexts[kind]}, "a map");
        tables[kind] = maps[kind].data();
    }
    const int16_t* known[2] = {};
    for (size_t number = 0; number < count; ++number) known[number] = guess_of(guesses[number], grid);
    const SymbolPort* port = port_of(capsule);
    Array<int16_t> fields({count, grid.rows, grid.columns, size_t{2}});
    Array<uint8_t> modes({grid.rows, grid.columns});
    MotionCalls calls;
    int16_t* to_fields = fields.mutable_data();
    uint8_t* to_modes = modes.mutable_data();
    unlocked(port, [&] {
        read_motion(*port, tables, grid, count, known, to_fields, to_modes, keeps ? &calls : nullptr);
    });
    return py::make_tuple(fields, count == 2 ? py::object(modes) : py::none(),
                          keeps ? py::object(as_tuple(calls)) : py::none());
}

// (field as the decoder has it, calls)
py::tuple record_field(const Array<int16_t>& field, const Optional<uint8_t>& modes, int number,
                       const Optional<int16_t>& guess) {
    if (field.ndim() != 3) throw std::invalid_argument("a field must be (rows, columns, 2)");
    const Grid grid = grid_of(field.shape(0), field.shape(1));
    expect(field, {grid.rows, grid.columns, 2}, "a field");
    if (modes) expect(*modes, {grid.rows, grid.columns}, "modes");
    const int16_t *from = field.data(), *known = guess_of(guess, grid);
    Array<int16_t> decoded({grid.rows, grid.columns, size_t{2}});
    MotionRecorder line;
    int16_t* to = decoded.mutable_data();
    const uint8_t* chosen = modes ? modes->data() : nullptr;
    {
        const py::gil_scoped_release release;
        code_field(line, grid, from, chosen, number, known, to);
    }
    return py::make_tuple(decoded, as_tuple(line.calls));
}

py::tuple record_modes(const Array<uint8_t>& modes) {
    if (modes.ndim() != 2) throw std::invalid_argument("modes must be (rows, columns)");
    const Grid grid = grid_of(modes.shape(0), modes.shape(1));
    if (*std::max_element(modes.data(), modes.data() + grid.blocks()) >= kMotionModes)
        throw std::invalid_argument("modes names a mode that does not exist");
    MotionRecorder line;
    std::vector<uint8_t> same(grid.blocks());
    code_modes(line, grid, modes.data(), same.data());
    return as_tuple(line.calls);
}

}  // namespace

void bind_field(py::module_& module) {
    module.def("read_motion", &read, py::arg("port"), py::arg("maps").noconvert(), py::arg("rows"), py::arg("columns"),
               py::arg("guesses").noconvert(), py::arg("keeps"));
    module.def("record_field", &record_field, py::arg("field").noconvert(), py::arg("modes").noconvert(),
               py::arg("number"), py::arg("guess").noconvert());
    module.def("record_modes", &record_modes, py::arg("modes").noconvert());
}

}  // namespace tessera
