"""What the golden streams of one family's weights share: their bytes, their digests, and the file that lists them.

expected.txt    the weights id; then lines of a stream's name, what is pinned, and hexadecimal digests: of all decoded
                integers ("integers"), or of each frame that a decoder paints (by its name)
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort
from tessera.codec.format.pipe import PipeReader
from tessera.models.base.family import Family, GroupSpec, SymbolPort
from tessera.models.reference.decoder import decode

Reading = Callable[[GroupSpec, SymbolPort], Sequence[NDArray[np.int32]]]
Shape = tuple[int, int, int, int]  # frames, sides, channels
Pins = dict[tuple[str, str], list[str]]  # (stream, what) -> digests
INTEGERS = "integers"
DIGITS = 16


def symbols_of(data: bytes, shape: Shape) -> tuple[bytes, GroupSpec]:
    """The coder's bytes of a file of one group, and what they decode to."""
    group = next(iter(PipeReader(io.BytesIO(data)).groups()))
    return bytes(group.symbols), GroupSpec(*shape, group.head.quality)


def digest_of(arrays: Iterable[NDArray[np.generic]]) -> str:
    little = (array.astype(array.dtype.newbyteorder("<"), copy=False) for array in arrays)
    return hashlib.sha256(b"".join(array.tobytes() for array in little)).hexdigest()[:DIGITS]


def frame_digests(frames: NDArray[np.uint8]) -> list[str]:
    return [digest_of([frame]) for frame in frames]


def pixels(family: Family, symbols: bytes, spec: GroupSpec, decoder: str) -> list[str]:
    """A digest of every frame."""
    port = DecoderPort(family.tables, symbols)
    frames = family.decode(spec, port, decoder)
    port.finish()
    return frame_digests(frames)


def integers(family: Family, symbols: bytes, spec: GroupSpec, read: Reading) -> list[str]:
    """A digest of everything that `read` finds, which ends where the stream does."""
    port = DecoderPort(family.tables, symbols)
    found = read(spec, port)
    port.finish()
    return [digest_of(found)]


def write(folder: Path, weights_id: bytes, streams: Mapping[str, bytes], pins: Pins) -> None:
    """Streams and expected.txt; streams of other names are removed."""
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.tsr"):
        path.unlink()
    for name, data in streams.items():
        (folder / f"{name}.tsr").write_bytes(data)
    lines = [
        f"weights {weights_id.hex()}",
        *(f"{name} {what} {' '.join(found)}" for (name, what), found in pins.items()),
    ]
    (folder / "expected.txt").write_text("\n".join(lines) + "\n")


def read(folder: Path) -> tuple[str, Pins]:
    """The weights id and what is pinned."""
    first, *lines = (line.split() for line in (folder / "expected.txt").read_text().splitlines())
    return first[1], {(name, what): digests for name, what, *digests in lines}


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@dataclass(frozen=True)
class Streams:
    """The pinned streams of one codec and the checks that every codec with a second decoder has to pass."""

    codec: str
    folder: Path
    shapes: Mapping[str, Shape]

    @property
    def pins(self) -> Pins:
        return read(self.folder)[1]

    def load(self) -> Family:
        """The codec with the shipped weights; the streams were made with these."""
        family, weights_id = weights.load(self.codec)
        assert weights_id.hex() == read(self.folder)[0], f"new weights: python -m tests.golden.make_golden_{self.codec}"
        return family

    def stream(self, name: str) -> tuple[bytes, GroupSpec]:
        return symbols_of((self.folder / f"{name}.tsr").read_bytes(), self.shapes[name])

    def check(self, family: Family, name: str, found: list[str]) -> None:
        """The integers `found` and the pixels of every decoder are those pinned."""
        assert found == self.pins[name, INTEGERS]
        for decoder in family.decoders:
            assert pixels(family, *self.stream(name), decoder) == self.pins[name, decoder], decoder

    def check_second_decoder(self, arrays: Mapping[str, NDArray[np.generic]], name: str, decoder: str) -> None:
        symbols, spec = self.stream(name)
        frames = decode(self.codec, arrays, spec, symbols, decoder)
        assert frame_digests(frames) == self.pins[name, decoder]

    def check_list(self, decoders: Collection[str]) -> None:
        """Files, samples and pins have the same names."""
        assert {path.stem for path in self.folder.glob("*.tsr")} == set(self.shapes)
        assert set(self.pins) == {(name, what) for name in self.shapes for what in (INTEGERS, *decoders)}
