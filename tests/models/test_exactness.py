"""What is encoded and what is decoded is the same to the bit, on every path and for every number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from tessera.codec.coding.ports import DecoderPort

from ..support import drawn
from ..support.encodings import DIGESTS, FRAMES, decode, digest, encode, family
from ..support.kernel_paths import available_paths, threads

SIZES = [(1, 1), (1, 9), (17, 3), (63, 130)]
WAYS = [(path, count) for path in available_paths() for count in (1, 2, 3)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("effort", ["fast", "medium"])
@pytest.mark.parametrize("name", FRAMES)
def test_bytes_and_pixels(name: str, effort: str, channels: int, size: tuple[int, int]) -> None:
    frames, quality = drawn.clip(FRAMES[name], *size, channels), 3300
    first = family(name, WAYS[0][0], effort)
    decoder = first.decoders[0 if effort == "medium" else -1]
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


@pytest.mark.parametrize(("name", "effort"), DIGESTS)
def test_digests(name: str, effort: str) -> None:
    """Every machine makes these bytes and these pixels."""
    assert digest(family(name, available_paths()[-1], effort)) == DIGESTS[name, effort]
