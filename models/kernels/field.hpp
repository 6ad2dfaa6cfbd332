// Motion fields and modes of a frame <-> symbols, block by block. Twin: models/motion/field.py, which says what is coded
// and in which order; models/motion/order.py for the order of blocks and for the candidates.
#pragma once

#include <cstdint>
#include <vector>

#include "constants.hpp"
#include "port.hpp"

namespace tessera {

constexpr int kVectorLimit = 2048;  // of |dy|, |dx|
constexpr int kDifferenceLimit = 4 * kVectorLimit;
constexpr int32_t kNew = 5;         // the choice that a vector is none of the candidates
constexpr int32_t kMotionModes = 3;
constexpr int kRootLevel = 8;

// Kinds of symbols, in the order of KINDS in models/motion/field.py.
enum MotionKind : uint8_t { kUniform, kMode, kSource, kChoice, kDy, kDx, kMotionKinds };
constexpr size_t kContexts[kMotionKinds] = {1, 9 * 5 * 5, 2, 8 * 4 * 4 * 8 * 8, 9 * 8 * 8 * 4, 9 * 8 * 8 * 4 * 5};

enum MotionSource : int32_t { kNoGuess, kGivenGuess, kMirror };

struct Vector {
    int32_t y, x;
    bool operator==(const Vector& other) const { return y == other.y && x == other.x; }
};

struct Grid {
    size_t rows, columns;
    size_t blocks() const { return rows * columns; }
};

// One call of a coder after the other: `lengths` symbols of each, their kinds, and what they are coded by: a context
// where they are recorded, a table where they are read.
struct MotionCalls {
    std::vector<uint8_t> kinds;
    std::vector<int32_t> lengths, contexts, symbols;
    void add(MotionKind kind, const int32_t* given, const int32_t* values, size_t n);
};

// Where the symbols of a walk over the blocks come from, or go to.
class MotionLine {
public:
    virtual ~MotionLine() = default;
    // Symbols (n,) in their contexts (n,), n > 0: `symbols` are given, or filled in.
    virtual void code(MotionKind kind, const int32_t* contexts, int32_t* symbols, size_t n) = 0;
};

// Keeps what it is given.
class MotionRecorder : public MotionLine {
public:
    MotionCalls calls;
    void code(MotionKind kind, const int32_t* contexts, int32_t* symbols, size_t n) override {
        calls.add(kind, contexts, symbols, n);
    }
};

// Codes a field (blocks, 2) into `out`, (blocks, 2) too, as the decoder has it; wanted: null to get one. modes (blocks,):
// null, or those whose blocks of mode 1 - number have no use for the field. guess: null for none.
void code_field(MotionLine& line, const Grid& grid, const int16_t* wanted, const uint8_t* modes, int number,
                const int16_t* guess, int16_t* out);

// The same of modes (blocks,); wanted may be `out`.
void code_modes(MotionLine& line, const Grid& grid, const uint8_t* wanted, uint8_t* out);

// A frame as it is read: fields (count, blocks, 2), count 1 or 2, and modes (blocks,) where there are two.
// maps: the table of every context, of each kind. guesses: null where there is none. calls: null, or what was read.
// Throws Refused.
void read_motion(const SymbolPort& port, const uint8_t* const (&maps)[kMotionKinds], const Grid& grid, size_t count,
                 const int16_t* const (&guesses)[2], int16_t* fields, uint8_t* modes, MotionCalls* calls);

}  // namespace tessera
