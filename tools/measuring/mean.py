"""The mean of figures of which some may be absent."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean


def mean_of_all(values: Iterable[float | None], digits: int | None = None) -> float | None:
    """The mean, rounded to `digits` if given; None if any value is absent or there are none.

    A mean over fewer sources than its neighbours in a table would compare nothing.
    """
    listed = list(values)
    known = [value for value in listed if value is not None]
    if not known or len(known) < len(listed):
        return None
    mean = fmean(known)
    return mean if digits is None else round(mean, digits)
