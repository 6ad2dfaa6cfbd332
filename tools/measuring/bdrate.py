"""Two rate-distortion curves to one number: the mean difference of rate at equal quality (Bjontegaard).

The figure comes from the package bjontegaard: Akima interpolation (the one to quote) and PCHIP beside it.  Points
that a higher rate does not improve on are left out first, because no interpolation over quality can pass them.  There
is no figure where the curves share less than a quarter of the narrower one's span of quality.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

Point = tuple[float, float]  # rate (bpp), quality (dB)
LEAST_SHARED = 0.25  # least part of the narrower curve's span of quality that both curves cover
LEAST_WITHIN = 2.0  # dB of a span that is asked for
PUBLISHED = "published:"  # begins the name of a curve that was read from a paper, not measured


@dataclass(frozen=True)
class BdRate:
    """Rate of `codec` against `reference` in percent (negative: fewer bits), over the quality both curves cover.

    low, high   the shared span of quality, dB
    overlap     its share of the union of both spans, 0..1
    note        why the percentages are None, or what was left out; empty if all went in
    sources     how many BD-rates it is the mean of; 1 for one pair of curves
    """

    codec: str
    reference: str
    metric: str
    akima: float | None
    pchip: float | None
    low: float
    high: float
    overlap: float
    note: str
    sources: int = 1


def monotonic(points: Sequence[Point]) -> list[Point]:
    """Points by rising rate, without those whose quality is not above every cheaper one's."""
    kept: list[Point] = []
    for rate, quality in sorted(points):
        if not kept or (quality > kept[-1][1] and rate > kept[-1][0]):
            kept.append((rate, quality))
    return kept


def compare(codec: str, test: Sequence[Point], reference: str, anchor: Sequence[Point], metric: str) -> BdRate:
    """The BD-rate of the curve `test` against the curve `anchor`."""
    tested, anchored = monotonic(test), monotonic(anchor)
    dropped = len(test) + len(anchor) - len(tested) - len(anchored)
    note = f"{dropped} points left out, not rising" if dropped else ""
    if min(len(tested), len(anchored)) < 4:
        return BdRate(codec, reference, metric, None, None, 0, 0, 0, "a curve has fewer than four rising points")
    low, high = max(tested[0][1], anchored[0][1]), min(tested[-1][1], anchored[-1][1])
    span = max(tested[-1][1], anchored[-1][1]) - min(tested[0][1], anchored[0][1])
    overlap = max(0.0, high - low) / span
    if overlap == 0:
        return BdRate(codec, reference, metric, None, None, low, high, 0, "the curves share no quality")
    narrower = min(tested[-1][1] - tested[0][1], anchored[-1][1] - anchored[0][1])
    if high - low < LEAST_SHARED * narrower:
        note = f"the curves share only {high - low:.1f} dB, {(high - low) / narrower:.0%} of the narrower one"
        return BdRate(codec, reference, metric, None, None, low, high, overlap, note)
    akima, pchip = (_bd_rate(anchored, tested, method) for method in ("akima", "pchip"))
    return BdRate(codec, reference, metric, akima, pchip, low, high, overlap, note)


def _bd_rate(anchor: Sequence[Point], test: Sequence[Point], method: str) -> float:
    import bjontegaard

    (anchor_rate, anchor_quality), (rate, quality) = (zip(*points, strict=True) for points in (anchor, test))
    return float(
        bjontegaard.bd_rate(
            list(anchor_rate),
            list(anchor_quality),
            list(rate),
            list(quality),
            method,
            require_matching_points=False,
            min_overlap=0,
        )  # fmt: skip
    )


def within(test: Sequence[Point], anchor: Sequence[Point], low: float, high: float) -> float | None:
    """The BD-rate (Akima, percent) over the part of low..high dB that both curves cover; None where that is little."""
    import bjontegaard

    tested, anchored = monotonic(test), monotonic(anchor)
    if min(len(tested), len(anchored)) < 4:
        return None
    low = max(low, tested[0][1], anchored[0][1])
    high = min(high, tested[-1][1], anchored[-1][1])
    if high - low < LEAST_WITHIN:
        return None
    rates, qualities = ([[point[axis] for point in curve] for curve in (anchored, tested)] for axis in (0, 1))
    _, *curves = bjontegaard.bd_rate(
        rates[0], qualities[0], rates[1], qualities[1], "akima",
        require_matching_points=False, min_overlap=0, interpolators=True,
    )  # fmt: skip
    others, ours = (float(curve.integrate(low, high)) for curve in curves)
    return float(100 * (10 ** ((ours - others) / (high - low)) - 1))


def mean(rates: Sequence[BdRate]) -> BdRate:
    """The mean of the BD-rates of several sources (a clip each) for one pair of codecs; refused ones are counted."""
    good = [rate for rate in rates if rate.akima is not None and rate.pchip is not None]
    first = rates[0]
    if not good:
        return replace(first, note=f"none of {len(rates)} sources has one: {first.note}", sources=0)
    notes = [f"{len(rates) - len(good)} of {len(rates)} sources refused"] if len(good) < len(rates) else []
    return BdRate(
        first.codec,
        first.reference,
        first.metric,
        fmean(rate.akima for rate in good if rate.akima is not None),
        fmean(rate.pchip for rate in good if rate.pchip is not None),
        min(rate.low for rate in good),
        max(rate.high for rate in good),
        fmean(rate.overlap for rate in good),
        "; ".join(notes + sorted({rate.note for rate in good if rate.note})),
        len(good),
    )
