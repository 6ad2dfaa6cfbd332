// The numbers that Python has too, because both sides of a stream rest on them. `_kernels.CONSTANTS` shows them all
// (bindings_constants.cpp), and tests/models/test_constants.py compares each with its twin.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera {

// -- the ladder of tables and what it codes ---------------------------------------------------------------------------

constexpr int kTables = 72;
constexpr int kOctaveBits = 3;
constexpr int kPerOctave = 1 << kOctaveBits;
constexpr int kRungs = 120;
constexpr int kMargins = 130;          // TABLE_REACH + 3: one entry per |v|, the last for everything larger
constexpr int32_t kLargest = 1 << 24;  // largest |v|; float32 holds every such value exactly

// What a value costs, in 1 / kCostUnit bits: a row of kCostColumns for each rung, of values after the shift of wide
// rungs. -kCostReach .. kCostReach - 1, then an escape without its distance, then the table's first and last value.
constexpr int32_t kCostUnit = 1 << 16;  // most symbols cost less than 1 / 1000 bit; a cell's sum stays below 2^30
constexpr int32_t kCostReach = 256;        // every value of a table, which has at most 256 symbols
constexpr size_t kCostColumns = 2 * kCostReach + 3;

// -- the prior --------------------------------------------------------------------------------------------------------

constexpr int kNearReach = 2;  // neighbours within a band lie at most so many rows or columns away
constexpr int kNearSide = 2 * kNearReach + 1;
constexpr int kNearTaps = (kNearSide * kNearSide - 1) / 2;  // neighbours of the other parity
constexpr int kHiddenShift = 7;
constexpr int kAnswerShift = 10;
constexpr int32_t kLargestActivation = 255;
constexpr int32_t kLargestFeature = 64;

// The prior of dyadic pyramids beside it.
constexpr int kViewShift = 8;
constexpr int kSignTables = 32;

// Its trellis, see trellis.hpp: the parity checks 45 and 10 (octal) of Ungerboeck's code of 32 states.
constexpr size_t kTrellisStates = 32;
constexpr uint8_t kStateFeedback = 20, kValueFeedback = 2;
constexpr size_t kMostChains = 16;
constexpr size_t kChainValues = 1024;  // a pass has a chain for so many values
constexpr size_t kOddTables = 34;      // of the odd quantiser: one for two rungs, the last one for more
constexpr size_t kRateColumns = 129;   // 0 .. TABLE_REACH, and what is larger

// Offsets of rungs that an encoder weighs: -kOffsetReach .. kOffsetReach, each for so many values of a pass at most.
constexpr int kOffsetReach = 6;
constexpr size_t kOffsets = 2 * kOffsetReach + 1;
constexpr size_t kWeighed = 8192;

// What keeps every sum within an int32, checked where numbers come in: a convolution's sum of |weight| * largest input
// and every |bias| stay below it, and a level adds up few of them.
constexpr int32_t kLargestSum = 1 << 20;

// The least 1 + |q| whose feature is 1, 2 .. 64. The list defines features, so no logarithm is computed here.
constexpr int32_t kFeatureFrom[kLargestFeature] = {
    2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4,
    5, 5, 5, 6, 6, 7, 8, 8, 9, 10, 10, 11, 12, 13, 15, 16,
    17, 19, 20, 22, 24, 26, 29, 31, 34, 37, 40, 44, 48, 52, 57, 62,
    67, 73, 80, 87, 95, 104, 113, 123, 134, 146, 159, 174, 190, 207, 225, 246,
};

// -- the transform ----------------------------------------------------------------------------------------------------

constexpr size_t kCell = 8;  // pixels per side; the loops have its three levels and 8 phases written out
constexpr size_t kBands = 3 * kCell * kCell;  // packet bands of all three colour axes

constexpr int kFractionBits = 12;
constexpr int32_t kLifting[4] = {-6496, -217, 3616, 1817};
constexpr int kUnitBits = 4;  // samples are in 1/16 gray level
constexpr int kMatrixBits = 14;
// the axes times 2^(kUnitBits + kMatrixBits): 2^18 / sqrt(3), 2^18 / sqrt(2) and 2^18 / sqrt(6)
constexpr int32_t kGray = 151349, kOne = 185364, kTwo = 107020;
constexpr int32_t kSampleLimit = 4095;   // largest |sample|
constexpr int32_t kBandLimit = 65535;    // inputs of a one-dimensional split or merge are clamped to it, to fit 2^31
constexpr int kStepBits = 16;            // fraction bits of steps
constexpr int kHintBits = 32;            // fraction bits of reciprocals of steps
constexpr int32_t kHintLimit = 1 << 20;  // larger magnitudes count as this; no analysis of a picture returns them

// -- motion -----------------------------------------------------------------------------------------------------------

// Quarter-sample interpolation: the filter of each phase, for the samples kBefore before to kAfter after.
constexpr size_t kTaps = 8;
constexpr size_t kBefore = 3, kAfter = kTaps - 1 - kBefore;
constexpr int16_t kFilters[4][kTaps] = {{0, 0, 0, 64, 0, 0, 0, 0},
                                        {-1, 4, -10, 58, 17, -5, 1, 0},
                                        {-1, 4, -11, 40, 40, -11, 4, -1},
                                        {0, 1, -5, 17, 58, -10, 4, -1}};
constexpr int16_t kLargestSample = 4095;  // |sample|
constexpr size_t kSmallBlock = 8, kLargeBlock = 16;
constexpr int kLongestVector = 2047;  // largest |dy| and |dx|, in quarter samples
constexpr uint8_t kBoth = 2;          // the mode of a block that both references predict

}  // namespace tessera
