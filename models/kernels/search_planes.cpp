#include "search_planes.hpp"

#include <algorithm>
#include <utility>

#include "motion.hpp"
#include "threads.hpp"

namespace tessera {
namespace {

constexpr size_t kReach = 40;   // windows that start further outside hold the same samples
constexpr size_t kMargin = 8;   // repeated samples that only the filters read
constexpr size_t kSmallestLines = 64;  // fewer lines are not worth a thread
static_assert(kReach >= kLargestWindow + 4 && kReach + kMargin == Plane::kPad, "filters read repeated samples only");

template <size_t... I>
std::array<Plane, sizeof...(I)> planes_of(size_t height, size_t width, std::index_sequence<I...>) {
    return {{(static_cast<void>(I), Plane(height, width))...}};
}

}  // namespace

Plane::Plane(size_t height, size_t width)
    : height_(height), width_(width), pitch_((width + 2 * kPad + kStride - 1) / kStride * kStride),
      data_(lines() * pitch_ + 2 * kStride) {
    std::fill_n(data_.get() + lines() * pitch_, 2 * kStride, int16_t{0});
}

Samples Plane::window(ptrdiff_t y, ptrdiff_t x, size_t rows, size_t columns) const {
    const auto place = [](ptrdiff_t at, size_t length, size_t count) {
        constexpr auto reach = static_cast<ptrdiff_t>(kReach);
        const ptrdiff_t last = static_cast<ptrdiff_t>(length) + reach - static_cast<ptrdiff_t>(count);
        return static_cast<size_t>(std::clamp(at, -reach, last) + static_cast<ptrdiff_t>(kPad));
    };
    return {line(place(y, height_, rows)) + place(x, width_, columns), static_cast<ptrdiff_t>(pitch_)};
}

void Plane::repeat_edges() {
    for (size_t y = 0; y < height_; ++y) {
        int16_t* row = line(y + kPad);
        std::fill_n(row, kPad, row[kPad]);
        std::fill_n(row + kPad + width_, pitch_ - kPad - width_, row[kPad + width_ - 1]);
    }
    for (size_t y = 0; y < kPad; ++y) {
        std::copy_n(line(kPad), pitch_, line(y));
        std::copy_n(line(kPad + height_ - 1), pitch_, line(kPad + height_ + y));
    }
}

void fill(Plane& plane, const int16_t* samples) {
    for (size_t y = 0; y < plane.height(); ++y)
        std::copy_n(samples + y * plane.width(), plane.width(), plane.line(y + Plane::kPad) + Plane::kPad);
    plane.repeat_edges();
}

void halve(const Plane& from, Plane& to) {
    for (size_t y = 0; y < to.height(); ++y) {
        const int16_t *one = from.line(Plane::kPad + 2 * y) + Plane::kPad, *two = one + from.pitch();
        int16_t* row = to.line(y + Plane::kPad) + Plane::kPad;
        for (size_t x = 0; x < to.width(); ++x)
            row[x] = static_cast<int16_t>((one[2 * x] + one[2 * x + 1] + two[2 * x] + two[2 * x + 1] + 2) >> 2);
    }
    to.repeat_edges();
}

Phases::Phases(const int16_t* samples, size_t height, size_t width, size_t threads, const Kernels& kernels)
    : planes_(planes_of(height, width, std::make_index_sequence<16>())) {
    fill(planes_[0], samples);
    const size_t lines = planes_[0].lines(), pitch = planes_[0].pitch(), columns = pitch - 2 * kMargin;
    const MotionLoops& loops = kernels.motion;
    // A row is left out at neither side: the filters read kMargin at most.
    in_parts(lines, threads, kSmallestLines, [&](size_t first, size_t last) {
        for (size_t phase = 1; phase < 4; ++phase) {
            const Samples from{planes_[0].line(first) + kMargin, static_cast<ptrdiff_t>(pitch)};
            loops.filter(from, 1, kFilters[phase], last - first, columns, planes_[phase].line(first) + kMargin, pitch);
        }
    });
    in_parts(lines - 2 * kMargin, threads, kSmallestLines, [&](size_t first, size_t last) {
        for (size_t y = first + kMargin; y < last + kMargin; ++y) {
            for (size_t phase = 4; phase < 16; ++phase) {
                const Samples from{planes_[phase & 3].line(y) + kMargin, static_cast<ptrdiff_t>(pitch)};
                loops.filter(from, from.pitch, kFilters[phase >> 2], 1, columns, planes_[phase].line(y) + kMargin,
                             pitch);
            }
        }
    });
}

}  // namespace tessera
