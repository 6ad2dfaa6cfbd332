"""What is encoded and what is decoded is the same to the bit, on every path and for every number of threads."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.models.base.family import GroupSpec
from tessera.models.spatiotemporal.family import SpatiotemporalFamily
from tessera.models.wavelet.family import WaveletFamily

from ..support import drawn
from ..support.kernel_paths import available_paths, threads

Family = WaveletFamily | SpatiotemporalFamily
SIZES = [(1, 1), (1, 9), (17, 3), (63, 130)]
FRAMES = {"wavelet": 1, "spatiotemporal": 4}
WAYS = [(path, count) for path in available_paths() for count in (1, 2, 3)]

# of `drawn` at (72, 104), quality 42: the stream at effort medium, then the pixels of decoders standard and fast.  They
# change with the weights and with the format, and with nothing else.
DIGESTS = {
    "wavelet": "b51e349221f5060af56943f78b83eae4d1a2cc82380218144ab5b32bfbb4fd22",
    "spatiotemporal": "51ef401bfae12db3e0eb0252cc7662ebf8696c588625cc6887d4514c8e59b2b1",
}


@lru_cache(maxsize=16)
def family(name: str, path: str, effort: str) -> Family:
    loaded, _ = weights.load(name)
    assert isinstance(loaded, Family)
    return loaded.using(path).configure(effort)


def encode(coder: Family, frames: NDArray[np.uint8], quality: int) -> tuple[bytes, GroupSpec]:
    spec = GroupSpec(len(frames), frames.shape[1], frames.shape[2], frames.shape[3], quality)
    port = EncoderPort(coder.tables)
    coder.encode(frames, spec, port)
    return port.finish(), spec


def decode(coder: Family, data: bytes, spec: GroupSpec, decoder: str) -> NDArray[np.uint8]:
    port = DecoderPort(coder.tables, data)
    frames = coder.decode(spec, port, decoder)
    port.finish()
    return frames


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("effort", ["fast", "medium"])
@pytest.mark.parametrize("name", FRAMES)
def test_bytes_and_pixels(name: str, effort: str, channels: int, size: tuple[int, int]) -> None:
    frames, quality = drawn.clip(FRAMES[name], *size, channels), 3300
    first = family(name, WAYS[0][0], effort)
    decoder = "standard" if effort == "medium" else "fast"
    with threads(1):
        data, spec = encode(first, frames, quality)
        pixels = decode(first, data, spec, decoder)
    for path, count in WAYS[1:]:
        other = family(name, path, effort)
        with threads(count):
            assert encode(other, frames, quality)[0] == data, (path, count)
            np.testing.assert_array_equal(decode(other, data, spec, decoder), pixels, err_msg=f"{path} {count}")


@pytest.mark.parametrize("name", FRAMES)
def test_latents(name: str) -> None:
    """Of the floats that are read, too."""
    frames = drawn.clip(FRAMES[name], 63, 130, 3)
    first = family(name, WAYS[0][0], "medium")
    data, spec = encode(first, frames, 3300)
    expected = first.latents(spec, DecoderPort(first.tables, data))
    for path, count in WAYS[1:]:
        other = family(name, path, "medium")
        with threads(count):
            found = other.latents(spec, DecoderPort(other.tables, data))
        np.testing.assert_array_equal(found.x, expected.x)
        assert found.bits is not None and expected.bits is not None
        np.testing.assert_array_equal(found.bits, expected.bits)


@pytest.mark.parametrize("name", FRAMES)
def test_digests(name: str) -> None:
    """Every machine makes these bytes and these pixels."""
    coder = family(name, available_paths()[-1], "medium")
    data, spec = encode(coder, drawn.clip(FRAMES[name], 72, 104, 3), 2688)
    found = hashlib.sha256(data)
    for decoder in ("standard", "fast"):
        found.update(decode(coder, data, spec, decoder).tobytes())
    assert found.hexdigest() == DIGESTS[name]
