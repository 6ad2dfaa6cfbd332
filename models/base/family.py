"""What a codec family is to the rest of the package.

A family turns frames into integer symbols and back, all of them numpy arrays.  It handles no bytes, but a symbol port:

    encode   port.put(symbols, indices)     symbols int32, indices uint8, both 1-D and of equal length
    decode   symbols = port.get(indices)    indices name the CDF table that codes each symbol

Which table codes a symbol depends only on integers already decoded, so a stream decodes on every machine.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from .cost import Allowance, Cost

Pixels = NDArray[np.uint8]
Symbols = NDArray[np.int32]
TableIndices = NDArray[np.uint8]


class SymbolPort(Protocol):
    """Where symbols go to (range encoder, bit meter) or come from (range decoder)."""

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        """Take int32 `symbols` (n,), each coded with the table named by uint8 `indices` (n,)."""

    def get(self, indices: TableIndices) -> Symbols:
        """Return the next n symbols as int32 (n,), one for each of the uint8 `indices` (n,)."""


@runtime_checkable
class NativePort(SymbolPort, Protocol):
    """A port whose symbols can go straight to and from the kernels, many calls in one without Python in between."""

    def native(self) -> AbstractContextManager[Any]:
        """Lend the coder as a capsule (entropy/kernels/port.hpp).  Errors of calls inside become the port's own."""


@dataclass(frozen=True)
class GroupSpec:
    """The shape of one group of frames, all that decoding needs beside the symbols."""

    frames: int
    height: int
    width: int
    channels: int  # 1 gray, 3 RGB
    quality: int  # fine quality, 0..MAX_FINE
    allowance: Allowance | None = None  # for families whose symbols say what decoding takes; None: anything


@dataclass
class Latents:
    """Latents of the frames of a group, read without making pixels.  `tokens.TokenGrid` holds the same as tensors.

    Attributes:
        x: float32 (T, H, W, C), dequantised latents.
        bits: float32 (T, H, W), -log2 p of the symbols that were coded; they sum to the payload.  None where unknown.
        bits_prior: float32 (T, H, W), bits expected from side information alone, or None where they were not computed.
        codes: int64 (T, H, W) or (T, H, W, Q), codebook indices, or None.
        times: float64 (T,), frames of the group.
        frame_type: int64 (T,), 0 for frames coded alone, 1 for predicted ones.
        valid: bool (T, H, W), False where a cell holds padding only.
        levels: Coarser or finer grids of the same frames, or None.
    """

    x: NDArray[np.float32]
    bits: NDArray[np.float32] | None
    bits_prior: NDArray[np.float32] | None
    codes: NDArray[np.int64] | None
    times: NDArray[np.float64]
    frame_type: NDArray[np.int64]
    valid: NDArray[np.bool_]
    levels: list[NDArray[np.float32]] | None = None


class Family(Protocol):
    """One codec family with its weights loaded.  Stateless between calls; usable from several threads."""

    name: ClassVar[str]
    tables: Tables  # every CDF table that `put` and `get` may name
    stride: ClassVar[int]  # pixels per latent cell, both ways
    channels: int  # latent channels C
    decoders: tuple[str, ...]  # synthesis networks that read the same stream, best default first
    exact: ClassVar[bool]  # every machine makes the same pixels of a stream
    devices: ClassVar[tuple[str, ...]]  # types of torch devices that it runs on: "cpu", "cuda"
    default_gop: ClassVar[int]
    options: ClassVar[dict[str, str]]  # what `configure` takes besides effort: name -> one line of help

    def encode(self, frames: Pixels, spec: GroupSpec, port: SymbolPort) -> None:
        """Put the symbols of uint8 `frames` (T, H, W, channels) to the port."""

    def decode(self, spec: GroupSpec, port: SymbolPort, decoder: str) -> Pixels:
        """Get a group's symbols and return its frames, uint8 (T, H, W, channels)."""

    def latents(self, spec: GroupSpec, port: SymbolPort) -> Latents:
        """Get a group's symbols and return its latents; no synthesis is run."""

    def cost(self, spec: GroupSpec) -> Cost:
        """What decoding a group takes at most, as far as its shape tells.

        Where symbols tell more, `decode` and `latents` raise TooLarge before they take what `spec.allowance` excludes.
        """

    def configure(self, effort: str, **options: object) -> Family:
        """The family that encodes with this effort (fast, medium or slow) and options; ValueError names a bad one."""


@runtime_checkable
class ReadsFirst(Family, Protocol):
    """A family that codes latents from coarse to fine: the first channels can be read without the others."""

    def first_latents(self, spec: GroupSpec, port: SymbolPort, channels: int) -> Latents:
        """The first `channels` >= 1 channels.  Symbols at the group's end may stay unread; `bits` do not count them."""


@dataclass(frozen=True)
class GroupNetworks:
    """Networks that the symbols of a group hold.  bits: what they cost.  text: what they are, in a few words."""

    bits: float
    text: str


@runtime_checkable
class HoldsNetworks(Family, Protocol):
    """A family whose symbols hold the networks that decode them; `registry.HOLDING_NETWORKS` names it too."""

    def networks(self, spec: GroupSpec, port: SymbolPort) -> GroupNetworks:
        """Get a group's symbols and tell of its networks; no pixels are made."""


@runtime_checkable
class ExpectsBits(Family, Protocol):
    """A family that can compute the bits that its side information lets expect; reading then takes longer."""

    def expecting(self) -> Family:
        """The same, whose latents have `bits_prior`."""
