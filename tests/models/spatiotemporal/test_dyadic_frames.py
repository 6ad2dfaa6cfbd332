"""Weights whose frames on their own are dyadic pyramids: groups, latents and pictures of family `spatiotemporal`."""

from __future__ import annotations

import numpy as np
import pytest

from tessera.data import procedural
from tessera.entropy.coder import Decoder, Encoder
from tessera.models.base.family import GroupSpec
from tessera.models.wavelet.dyadic_still import DyadicStill

from ...support.small_dyadic import family
from ..prior.test_dyadic import NativePort, Port


@pytest.mark.parametrize("size", [(1, 1), (21, 34)], ids=str)
def test_groups_and_latents(size: tuple[int, int]) -> None:
    """A frame on its own and frames predicted from it come back; every port reads the same; bits are those spent."""
    chosen, spec = family(), GroupSpec(3, *size, 3, 4300)
    assert isinstance(chosen.still, DyadicStill)
    picture = procedural.picture(size[0], size[1] + 4, seed=3)
    frames = np.stack([picture[:, k : k + size[1]] for k in range(3)])
    encoder = Encoder(chosen.tables)
    chosen.encode(frames, spec, NativePort(encoder))
    data = encoder.finish()
    decoder = Decoder(chosen.tables, data)
    found = chosen.decode(spec, NativePort(decoder), "fast")
    decoder.finish()
    assert np.abs(found.astype(int) - frames).mean() < 8
    assert np.array_equal(found, chosen.decode(spec, Port(Decoder(chosen.tables, data)), "fast"))
    latents = chosen.expecting().latents(spec, NativePort(Decoder(chosen.tables, data)))
    assert latents.bits is not None and latents.bits_prior is not None
    assert abs(latents.bits.sum() / 8 - len(data)) < 12
    assert np.isfinite(latents.x).all() and latents.bits_prior.min() >= 0


def test_a_picture_of_high_quality() -> None:
    """Every band is coded, so that quality 100 is near the rounding of pixels."""
    chosen, spec = family(), GroupSpec(1, 48, 40, 3, 6400)
    rng = np.random.default_rng(4)
    frames = rng.integers(0, 256, (1, 48, 40, 3)).astype(np.uint8)  # noise in every colour
    encoder = Encoder(chosen.tables)
    chosen.encode(frames, spec, NativePort(encoder))
    found = chosen.decode(spec, NativePort(Decoder(chosen.tables, encoder.finish())), "fast")
    error = np.square(found.astype(float) - frames).mean()
    assert 10 * np.log10(255**2 / error) > 46
