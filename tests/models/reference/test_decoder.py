"""The second decoder and the run time make the same pixels of any symbols, those that no encoder writes among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.models.base.family import GroupSpec, Symbols, TableIndices
from tessera.models.reference import symbols as reference
from tessera.models.reference.clip import decode_clip
from tessera.models.reference.decoder import decode_stills
from tessera.models.spatiotemporal.family import SpatiotemporalFamily
from tessera.models.wavelet.family import WaveletFamily

from ...support import small_dyadic
from ...support.kernel_paths import available_paths

TYPE, DEPTH = 73, 74  # tables of numbers of 2 and 3 bits


class Wild:
    """A port that makes symbols up: mostly small ones, which depend on their tables too; now and then any int32."""

    def __init__(self, seed: int, wild: float) -> None:
        self.rng, self.wild = np.random.default_rng(seed), wild
        self.types = 0

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        raise TypeError("this port only gives symbols")

    def get(self, indices: TableIndices) -> Symbols:
        tables = indices.astype(np.int64)
        found = (self.rng.integers(0, 5, len(tables)) + tables) % 5 - 2
        far = self.rng.random(len(tables)) < self.wild
        found = np.where(far, self.rng.integers(-(1 << 31), 1 << 31, len(tables)), found)
        uniform = (tables > reference.UNIFORM) & (tables < 78)
        numbers = self.rng.integers(0, 64, len(tables)) & (1 << np.where(uniform, tables - reference.UNIFORM, 0)) - 1
        found = np.where(uniform, numbers, found)
        if tables.tolist() == [DEPTH]:
            found[0] %= 3
        if tables.tolist() == [TYPE]:  # the first frame is on its own, most others are predicted
            found[0] = int(self.types > 0 and found[0] < 3)
            self.types += 1
        return found.astype(np.int32)


class WildSymbols(reference.Symbols):
    """The same symbols for the second decoder."""

    def __init__(self, seed: int, wild: float) -> None:
        self.port = Wild(seed, wild)

    def get(self, tables: Sequence[int]) -> list[int]:
        return self.port.get(np.array(tables, np.uint8)).tolist() if len(tables) else []

    def finish(self) -> None:
        pass


def differing(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    return int((a != b).sum())


@pytest.mark.parametrize("wild", [0.0, 0.02])
@pytest.mark.parametrize(
    ("height", "width", "channels", "quality"), [(35, 50, 3, 3000), (9, 70, 1, 6400), (1, 1, 3, 0)]
)
def test_stills(height: int, width: int, channels: int, quality: int, wild: float) -> None:
    family = weights.load("wavelet")[0]
    assert isinstance(family, WaveletFamily)
    spec = GroupSpec(1, height, width, channels, quality)
    for seed, decoder in enumerate(family.decoders):
        expected = decode_stills(family.arrays, spec, WildSymbols(seed, wild), decoder)
        for path in available_paths():
            assert differing(family.using(path).decode(spec, Wild(seed, wild), decoder), expected) == 0, path


@pytest.mark.parametrize(("decoder", "wild"), [("standard", 0.0), ("fast", 0.02)])
@pytest.mark.parametrize(("height", "width", "channels", "quality"), [(23, 33, 3, 2000), (9, 34, 1, 5000)])
def test_clips(height: int, width: int, channels: int, quality: int, decoder: str, wild: float) -> None:
    family = weights.load("spatiotemporal")[0]
    assert isinstance(family, SpatiotemporalFamily)
    spec = GroupSpec(3, height, width, channels, quality)
    expected = decode_clip(family.arrays, spec, WildSymbols(quality, wild), decoder)
    for path in available_paths():
        assert differing(family.using(path).decode(spec, Wild(quality, wild), decoder), expected) == 0, path


@pytest.mark.parametrize(
    ("height", "width", "channels", "quality", "decoder", "wild"),
    [(19, 42, 3, 900, "standard", 0.0), (21, 10, 1, 6400, "fast", 0.02), (1, 1, 3, 3000, "standard", 0.1)],
)
def test_clips_with_dyadic_frames(
    height: int, width: int, channels: int, quality: int, decoder: str, wild: float
) -> None:
    """Frames on their own as pyramids, and what is predicted from them, by the slow walk of both."""
    family = small_dyadic.family()
    spec = GroupSpec(3, height, width, channels, quality)
    expected = decode_clip(family.arrays, spec, WildSymbols(quality, wild), decoder)
    assert len(np.unique(expected)) > 2
    for path in available_paths():
        assert differing(family.using(path).decode(spec, Wild(quality, wild), decoder), expected) == 0, path
