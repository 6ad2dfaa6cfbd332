// Work in equal parts on a few threads that end with the call: nothing to keep alive over a fork, nothing that spins.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace tessera {

// work(first, last) over 0..count in at most `threads` parts of at least `smallest`. Rethrows what a part throws.
template <typename Work>
void in_parts(size_t count, size_t threads, size_t smallest, const Work& work) {
    const size_t parts = std::max<size_t>(1, std::min(threads, count / std::max<size_t>(1, smallest)));
    std::vector<std::exception_ptr> errors(parts);
    const auto run = [&](size_t part) {
        try {
            work(count * part / parts, count * (part + 1) / parts);
        } catch (...) {
            errors[part] = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    others.reserve(parts - 1);
    for (size_t part = 1; part < parts; ++part) {
        try {
            others.emplace_back(run, part);
        } catch (const std::system_error&) {
            run(part);  // no thread to be had: do it here
        }
    }
    run(0);
    for (std::thread& other : others) other.join();
    for (const std::exception_ptr& error : errors) {
        if (error) std::rethrow_exception(error);
    }
}

}  // namespace tessera
