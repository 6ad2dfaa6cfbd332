"""Arguments to contiguous numpy arrays of the exact type, without changing a value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

INT32 = np.dtype(np.int32)
UINT8 = np.dtype(np.uint8)
UINT16 = np.dtype(np.uint16)


def integers(array: Any, dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """`array` itself when it is a C-contiguous ndarray of `dtype`, otherwise such a copy with the same values.

    ValueError when it holds anything but integers, or integers beyond `dtype`.
    """
    if type(array) is np.ndarray and array.dtype is dtype and array.flags.c_contiguous:
        return array
    given = np.asarray(array)
    if given.size == 0 and given.dtype == np.float64:  # what numpy makes of []
        given = given.astype(dtype)
    if given.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers of type {dtype}, not {given.dtype}")
    if given.size and not np.can_cast(given.dtype, dtype):
        least, most = int(given.min()), int(given.max())
        limits = np.iinfo(dtype)
        if least < limits.min or most > limits.max:
            raise ValueError(f"{name} must fit in {dtype}, but they span {least}..{most}")
    return np.ascontiguousarray(given, dtype)


def pair(symbols: Any, indices: Any) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """`symbols` as int32 and `indices` as uint8, both contiguous. ValueError unless their shapes are the same."""
    values = integers(symbols, INT32, "symbols")
    tables = integers(indices, UINT8, "indices")
    if values.shape != tables.shape:
        raise ValueError(f"symbols have shape {values.shape}, indices {tables.shape}")
    return values, tables
