"""Networks of a fit as integers: of each tensor the fraction bits that cost least in error and bits.

What the networks themselves take is counted: `wire` codes them with the cheapest table for each tensor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.fitted import FitFailed
from .coding import networks_of
from .fitting import PictureFit
from .shape import LARGEST, LARGEST_WEIGHT, FittedPicture, Integers, IntegerTensor, TensorShape
from .start import Floats
from .wire import tensor_bits

UNIT = 255 / 16  # pixels of a fit lie in 0..1, those of the coded synthesis in units of 16 gray levels
SCALED = ("synthesis.1.weight", "synthesis.1.bias", "synthesis.2.bias", "synthesis.3.bias", "synthesis.4.bias")
FIRST_BITS = {False: 8, True: 10}  # of weights and of biases, where the search starts
NAME_BITS = 8.0  # about what fraction bits and table of a tensor take


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
        self.chosen = self._first()
        self.spent = {s.name: self._bits(s, self.chosen[s.name]) for s in fit.tensors}

    def _first(self) -> dict[str, IntegerTensor]:
        """Where the search starts: as fine as the sums allow.  FitFailed where no integers do."""
        for less in range(max(FIRST_BITS.values()) + 1):
            found = {}
            for shape in self.fit.tensors:
                bits = max(shape.least_bits, FIRST_BITS[shape.is_bias] - less)
                found[shape.name] = rounded(shape, self.exact[shape.name], bits)
            if self._codable(found):
                return found
        raise FitFailed("the networks of this fit are too large to be coded: encode the picture with another codec")

    def _codable(self, tensors: dict[str, IntegerTensor]) -> bool:
        """Whether a decoder takes these networks: no sum of theirs may overflow."""
        try:
            networks_of(FittedPicture(*self.fit.shape, self.fit.point, self.fit.levels, tensors, []))
        except ValueError:
            return False
        return True

    def _bits(self, shape: TensorShape, tensor: IntegerTensor) -> float:
        """Of the tensor in the stream, about."""
        return tensor_bits(shape, tensor, self.tables) + NAME_BITS

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
        if not self._codable(self.chosen | {shape.name: tensor}):
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
