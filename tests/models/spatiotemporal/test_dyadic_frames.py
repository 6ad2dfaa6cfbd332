"""Weights whose frames on their own are dyadic pyramids: groups, latents and pictures of family `spatiotemporal`."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from tessera.codec.coding.weights import load
from tessera.data import procedural
from tessera.entropy.coder import Decoder, Encoder
from tessera.models.base.family import GroupSpec
from tessera.models.base.task import arrays_of
from tessera.models.prior.ladder import TABLE_NAMES, TABLES
from tessera.models.prior.signs import SIGN_TABLE_NAMES
from tessera.models.spatiotemporal.family import SpatiotemporalFamily
from tessera.models.training.dyadic import DyadicModel
from tessera.models.wavelet.dyadic_still import DyadicStill

from ..prior.test_dyadic import NativePort, Port


@cache
def family() -> SpatiotemporalFamily:
    """The shipped weights with an untrained prior of pyramids, without networks of frames on their own."""
    arrays = load("spatiotemporal")[0].arrays  # type: ignore[attr-defined]
    kept = {name: array for name, array in arrays.items() if not name.startswith("still.")}
    torch.manual_seed(5)
    model = DyadicModel()
    model.initialise([torch.from_numpy(procedural.picture(64, 64, seed=1)).permute(2, 0, 1)])
    made = arrays_of(model.tensors())
    kept |= {f"still.{name}": array for name, array in made.items() if name.startswith("dyadic.")}
    kept |= {name: made[name] for name in SIGN_TABLE_NAMES}
    for name in TABLE_NAMES:  # the ladder of |v| in place of that of v
        whole, part = kept[name], made[name][:TABLES]
        if whole.ndim == 2:
            missing = part.shape[1] - whole.shape[1]
            whole = np.pad(whole, ((0, 0), (0, max(missing, 0))))
            part = np.pad(part, ((0, 0), (0, max(-missing, 0))))
        whole = np.concatenate([part, whole[TABLES:]])
        kept[name] = whole
    return SpatiotemporalFamily(kept, {})


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
