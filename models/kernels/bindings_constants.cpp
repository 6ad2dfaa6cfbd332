// The numbers of constants.hpp, as Python compares them with its own.
#include "bindings.hpp"
#include "constants.hpp"
#include "field.hpp"
#include "overfitted.hpp"
#include "trellis.hpp"

namespace tessera {
namespace {

template <typename T, size_t n>
py::tuple row(const T (&values)[n]) {
    py::tuple out(n);
    for (size_t i = 0; i < n; ++i) out[i] = values[i];
    return out;
}

}  // namespace

void bind_constants(py::module_& module) {
    using namespace py::literals;
    py::dict ladder("TABLES"_a = kTables, "PER_OCTAVE"_a = kPerOctave, "RUNGS"_a = kRungs, "MARGINS"_a = kMargins,
                    "LARGEST"_a = kLargest, "COST_UNIT"_a = kCostUnit, "COST_REACH"_a = kCostReach);
    py::dict prior("NEAR_REACH"_a = kNearReach, "ACTIVATION_SHIFT"_a = kHiddenShift, "ANSWER_SHIFT"_a = kAnswerShift,
                   "ACTIVATION_MAX"_a = kLargestActivation, "FEATURE_MAX"_a = kLargestFeature,
                   "ACCUMULATOR_LIMIT"_a = kLargestSum, "FEATURE_FROM"_a = row(kFeatureFrom),
                   "VIEW_SHIFT"_a = kViewShift, "SIGN_TABLES"_a = kSignTables);
    py::dict trellis("STATES"_a = kTrellisStates, "STATE_FEEDBACK"_a = kStateFeedback,
                     "VALUE_FEEDBACK"_a = kValueFeedback, "MOST_CHAINS"_a = kMostChains, "CHAIN_VALUES"_a = kChainValues,
                     "ODD_TABLES"_a = kOddTables, "RATE_COLUMNS"_a = kRateColumns,
                     "HALF_STEP"_a = kHalfStep, "LARGEST_RATE"_a = kLargestRate, "OFFSET_REACH"_a = kOffsetReach,
                     "WEIGHED"_a = kWeighed);
    py::dict transform("CELL"_a = kCell, "BANDS"_a = kBands, "FRACTION_BITS"_a = kFractionBits,
                       "LIFTING"_a = row(kLifting), "UNITS"_a = 1 << kUnitBits, "MATRIX_BITS"_a = kMatrixBits,
                       "AXES"_a = py::make_tuple(kGray, kOne, kTwo), "SAMPLE_LIMIT"_a = kSampleLimit,
                       "BAND_LIMIT"_a = kBandLimit, "STEP_BITS"_a = kStepBits, "HINT_BITS"_a = kHintBits,
                       "HINT_LIMIT"_a = kHintLimit);
    py::tuple filters(4);
    for (size_t i = 0; i < 4; ++i) filters[i] = row(kFilters[i]);
    py::dict motion("FILTERS"_a = filters, "BEFORE"_a = kBefore, "LARGEST"_a = kLargestSample,
                    "BLOCKS"_a = py::make_tuple(kSmallBlock, kLargeBlock), "LONGEST_VECTOR"_a = kLongestVector,
                    "BOTH"_a = kBoth, "LIMIT"_a = kVectorLimit, "NEW"_a = kNew, "MODES"_a = kMotionModes,
                    "ROOT"_a = kRootLevel, "CONTEXTS"_a = row(kContexts));
    py::list points, places;
    for (const OperatingPoint& point : kPoints)
        points.append(py::make_tuple(point.spatial, point.features, point.width, point.windows));
    for (const auto& place : kPlaces) places.append(py::make_tuple(place[0], place[1]));
    py::dict overfitted("MAX_LEVELS"_a = kFittedLevels, "FEATURE_LEVELS"_a = kFeatureLevels,
                        "FIRST_HYPER"_a = kFirstHyper, "LARGEST"_a = kLargestValue,
                        "LARGEST_WEIGHT"_a = kLargestWeight, "STRIP"_a = kStripRows, "LAG"_a = kLag,
                        "SCALES"_a = kScales, "POINTS"_a = points, "PLACES"_a = places);
    module.attr("CONSTANTS") = py::dict("ladder"_a = ladder, "prior"_a = prior, "trellis"_a = trellis,
                                        "transform"_a = transform, "motion"_a = motion,
                                        "overfitted"_a = overfitted);
}

}  // namespace tessera
