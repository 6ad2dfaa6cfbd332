// Chooses vectors and modes by the error that overlapped compensation leaves: a block's error includes what its
// neighbours predict (Orchard and Sullivan, Overlapped Block Motion Compensation, 1994).
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "motion_loops.hpp"
#include "search.hpp"
#include "search_field.hpp"
#include "search_planes.hpp"

namespace tessera {

class Overlap {
public:
    // Starts from `fields`, one towards each reference; `guess` are as many others worth trying, or none. Does not keep
    // what `motion` points to alive.
    Overlap(const MotionSearch& motion, std::vector<Field> fields, std::vector<Field> guess, size_t threads,
            const Kernels& kernels);

    void refine(size_t threads);
    void continue_unused();

    const Field& field(size_t reference) const { return fields_[reference]; }
    const std::vector<uint8_t>& modes() const { return modes_; }

private:
    struct Choice;
    struct Window;
    struct Trial;
    // Weights along one side of the first, a middle, the last and the only block of a side; all others are alike.
    static constexpr size_t kRamps = 4;
    struct Ramp {
        size_t size = 0;
        int16_t weights[kLargestWindow] = {};
    };

    std::array<Ramp, kRamps> ramps_of(size_t count, size_t length) const;
    void weigh_windows();
    Window window_of(size_t r, size_t c) const;
    Samples samples(const Choice& choice, const Window& window, int16_t* patch) const;
    Choice choice_of(size_t r, size_t c) const;
    bool uses(size_t r, size_t c, size_t reference) const;
    float bits(const Choice& choice, const Trial& trial) const;
    float bits(const Vector& vector, size_t reference, const Trial& trial) const;
    void choose_modes();
    void fill_rest();
    int16_t* rest_at(const Window& window);
    Few<Choice, 9> look_around(size_t r, size_t c, Trial& trial) const;
    void consider_others(const Choice& own, const Few<Choice, 9>& others, Trial& trial) const;
    void visit(size_t r, size_t c, int round);
    void consider(Trial& trial, const Choice& choice) const;
    void walk(Trial& trial, int step) const;

    const MotionSearch motion_;
    const MotionLoops& loops_;
    const std::vector<Field> guess_;
    size_t rows_, columns_, pitch_;
    std::vector<std::unique_ptr<Phases>> phases_;
    std::vector<Field> fields_;
    std::vector<uint8_t> modes_;
    std::vector<int16_t> rest_;  // the picture minus all predictions
    std::array<Ramp, kRamps> down_, across_;
    std::vector<int16_t> weights_;  // of windows, (kRamps, kRamps, kLargestWindow, kLargestWindow)
};

}  // namespace tessera
