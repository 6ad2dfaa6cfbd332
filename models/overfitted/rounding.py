"""Networks of a fit as integers: of each tensor the fraction bits that cost least in error and bits.

What the networks themselves take is counted: `wire` codes them with the cheapest table for each tensor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from .fitting import Floats, PictureFit
from .shape import CUBIC, LARGEST, LARGEST_WEIGHT, FittedPicture, Integers, IntegerTensor, TensorShape
from .tables import SCALES

UNIT = 255 / 16  # pixels of a fit lie in 0..1, those of the coded synthesis in units of 16 gray levels
SCALED = ("synthesis.1.weight", "synthesis.1.bias", "synthesis.2.bias", "synthesis.3.bias", "synthesis.4.bias")
FIRST_BITS = {False: 8, True: 10}  # of weights and of biases, where the search starts
SUM_LIMIT = 2**31 - 2**18
CONTEXT_LIMIT, PLANE_LIMIT = 2**15 - 1, 2**17 - 1  # of activations


def unit_of(shape: TensorShape) -> float:
    """Coded value of 1 in the fit."""
    return UNIT if shape.name in (*SCALED, "synthesis.beside.weight") else 1.0


def rounded(shape: TensorShape, values: NDArray[np.float64], bits: int) -> IntegerTensor:
    """values: of the fit, in the tensor's shape."""
    scaled = np.floor(values * unit_of(shape) * 2.0**bits + 0.5)
    return IntegerTensor(np.clip(scaled, -LARGEST_WEIGHT, LARGEST_WEIGHT).astype(np.int32), bits)


def restored(shape: TensorShape, tensor: IntegerTensor) -> NDArray[np.float64]:
    """What the integers mean, in the units of the fit."""
    values: NDArray[np.float64] = tensor.values * (2.0**-tensor.bits / unit_of(shape))
    return values


class NetworkRounding:
    """A search over fraction bits, one tensor after the other.

    Args:
        fit: With latents at their end; its parameters are what is rounded.
        tables: Of the family.
    """

    def __init__(self, fit: PictureFit, tables: Tables) -> None:
        self.fit, self.tables = fit, tables
        self.exact: dict[str, NDArray[np.float64]] = {}
        at = 0
        for shape in fit.tensors:
            part = fit.state.parameters[at : at + shape.size]
            self.exact[shape.name] = part.reshape(shape.shape).astype(np.float64)
            at += shape.size
        self.chosen = {s.name: rounded(s, self.exact[s.name], self._first_bits(s)) for s in fit.tensors}
        self.spent = {s.name: self._bits(s, self.chosen[s.name]) for s in fit.tensors}

    def _first_bits(self, shape: TensorShape) -> int:
        """Where the search starts: as fine as the sums allow."""
        bits = FIRST_BITS[shape.is_bias]
        while bits > shape.least_bits and not self._fits(shape, rounded(shape, self.exact[shape.name], bits)):
            bits -= 1
        return bits

    def _fits(self, shape: TensorShape, tensor: IntegerTensor) -> bool:
        """Whether no sum can overflow, with half of the room left to a bias."""
        if shape.is_bias:
            return bool(np.abs(tensor.values).max(initial=0) < LARGEST_WEIGHT)
        limit = CONTEXT_LIMIT if shape.name.startswith("context") else PLANE_LIMIT
        rows = np.abs(tensor.values.astype(np.int64)).reshape(len(tensor.values), -1)
        if shape.name.startswith("upsampling"):
            rows = 2 * rows
        return bool((rows.sum(1) * limit).max(initial=0) < SUM_LIMIT // 2)

    def _bits(self, shape: TensorShape, tensor: IntegerTensor) -> float:
        """Of the tensor in the stream, about: the cheapest table for its integers, and what names it."""
        values = tensor.values
        if shape.name == "upsampling.smooth":
            values = values - np.floor(np.array(CUBIC) * 2.0 ** (tensor.bits - 12) + 0.5).astype(np.int32)
        symbols = np.broadcast_to(values.ravel(), (SCALES, values.size))
        tables = np.broadcast_to(np.arange(SCALES)[:, None], symbols.shape).astype(np.uint8)
        return float(self.tables.bits(symbols, tables).sum(1, dtype=np.float64).min(initial=np.inf)) + 8.0

    def parameters(self) -> Floats:
        """Of the fit, as the integers have them."""
        values = [restored(shape, self.chosen[shape.name]).ravel() for shape in self.fit.tensors]
        found: Floats = np.concatenate(values).astype(np.float32)
        return found

    def loss(self) -> float:
        networks = sum(self.spent.values())
        return self.fit.score(self.parameters()).loss + self.fit.weight * networks / self.fit.pixels

    def search(self) -> float:
        """Choose fraction bits; returns the loss."""
        best = self.loss()
        for shape in self.fit.tensors:
            for direction in (-1, 1):
                while (found := self._try(shape, self.chosen[shape.name].bits + direction, best)) is not None:
                    best = found
        return best

    def _try(self, shape: TensorShape, bits: int, best: float) -> float | None:
        """Take these fraction bits if they are better; the loss then."""
        if not shape.least_bits <= bits <= shape.most_bits:
            return None
        before = self.chosen[shape.name], self.spent[shape.name]
        tensor = rounded(shape, self.exact[shape.name], bits)
        if not self._fits(shape, tensor):
            return None
        self.chosen[shape.name], self.spent[shape.name] = tensor, self._bits(shape, tensor)
        found = self.loss()
        if found < best:
            return found
        self.chosen[shape.name], self.spent[shape.name] = before
        return None

    def picture(self) -> FittedPicture:
        """With the fit's latents, rounded."""
        height, width, channels = self.fit.shape
        grids = [rounded_latents(self.fit.fit.latents(i)) for i in range(len(self.fit.grids))]
        return FittedPicture(height, width, channels, self.fit.point, self.fit.levels, dict(self.chosen), grids)


def rounded_latents(latents: Floats) -> Integers:
    """float32 in sixteenths of a step, (height, width) -> int32."""
    steps = np.floor(latents * 16.0 + np.float32(0.5))
    whole: Integers = np.clip(steps, -LARGEST, LARGEST).astype(np.int32)
    return whole
