"""The training task of frames on their own as pyramids: steps, what it exports, and going on from that."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tessera.data import procedural
from tessera.entropy import Tables
from tessera.entropy.coder import Decoder
from tessera.models.base.family import GroupSpec
from tessera.models.base.kernels import Kernels
from tessera.models.base.task import arrays_of
from tessera.models.networks.optim import MuonAdam
from tessera.models.prior.ladder import TABLE_NAMES
from tessera.models.prior.signs import SIGN_TABLE_NAMES
from tessera.models.registry import task
from tessera.models.spatiotemporal.family import rows_of
from tessera.models.training.dyadic_stills import DyadicStillTask, Written
from tessera.models.training.exporting import Tensors
from tessera.models.wavelet.dyadic_still import DyadicStill

from ..prior.test_dyadic import NativePort

SIZES = {"width": 8, "blocks": 1, "fast_width": 8, "fast_blocks": 1}
QUALITY = 2000


def picture(seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(procedural.picture(48, 72, seed=seed)).permute(2, 0, 1).contiguous()


@pytest.fixture(scope="module")
def trained() -> DyadicStillTask:
    """A task after a few steps on one picture."""
    torch.manual_seed(0)
    made = task("dyadic", **SIZES)
    assert isinstance(made, DyadicStillTask)
    made.initialise([picture()])
    optimiser, crop = MuonAdam(made.groups()), picture()[None, :, :48, :48].float().repeat(2, 1, 1, 1)
    optimiser.schedule(4.0)
    losses = []
    for step in range(1, 9):
        loss, scalars = made.loss(crop, torch.Generator().manual_seed(7))  # the same qualities in every step
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        made.after_step(step)
        losses.append((scalars["log_rate"], scalars["gain_standard"]))
    assert losses[-1][0] < losses[0][0] - 0.02, "the prior learns"
    assert losses[0][1] == 0 and losses[-1][1] > 0.02, "so does the network"
    made.made = None
    return made


def coder_of(tensors: Tensors) -> tuple[DyadicStill, Tables]:
    arrays = arrays_of(tensors)
    ladder = rows_of(arrays, TABLE_NAMES)
    tables = Tables.stack([*ladder, *rows_of(arrays, SIGN_TABLE_NAMES)])
    return DyadicStill(arrays, tables, len(ladder), Kernels()), tables


def test_export_decodes_to_what_training_showed(trained: DyadicStillTask) -> None:
    """The decoder's integers show the pixels of the float network, but for roundings; `restore` brings them back."""
    made = task("dyadic", **SIZES)
    made.load_state_dict(trained.state_dict())
    tensors, notes = made.export([picture()[:, :32, :32]])
    assert int(notes["largest_accumulator"]) < 1 << 20
    still, tables = coder_of(tensors)
    pixels, spec = picture(2).permute(1, 2, 0).contiguous().numpy(), GroupSpec(1, 48, 72, 3, QUALITY)
    rate, shown = made.rate_distortion(picture(2)[None].float(), QUALITY)

    port = Written(tables)
    still.put(pixels, spec, port, "fast")
    data = port.encoder.finish()
    assert rate == 8 * len(data) / (48 * 72)
    found = np.empty_like(pixels)
    still.paint(still.prior.read(spec, NativePort(Decoder(tables, data))), spec, "standard", found)
    expected = shown[0].permute(1, 2, 0).numpy()
    plain = np.empty_like(pixels)
    without = DyadicStill({n: a for n, a in arrays_of(tensors).items() if "standard" not in n and "fast" not in n},
                          tables, still.prior.coder.first_sign, Kernels())  # fmt: skip
    without.paint(without.prior.read(spec, NativePort(Decoder(tables, data))), spec, "fast", plain)
    assert np.abs(found - expected).mean() < 0.3 * np.abs(plain - expected).mean()

    again = task("dyadic", **SIZES)
    again.restore(tensors)
    rate_again, shown_again = again.rate_distortion(picture(2)[None].float(), QUALITY)
    assert rate_again == pytest.approx(rate, rel=0.01)
    assert (shown_again - shown).abs().mean() < 0.2 * (shown - picture(2)).abs().mean()


def test_a_part_is_trained_alone() -> None:
    """What is kept has no gradient and no group."""
    for options, owner in (({"decoders": 0}, "model."), ({"priors": 0}, ("standard.", "fast."))):
        made = task("dyadic", **SIZES, **options)
        made.initialise([picture()])
        loss, _ = made.loss(picture()[None, :, :48, :48].float(), torch.Generator().manual_seed(1))
        loss.backward()
        names = {id(p): name for name, p in made.named_parameters()}
        learning = {names[id(p)] for group in made.groups() for p in group["params"]}
        assert learning and all(name.startswith(owner) for name in learning)
        assert all(p.grad is None for name, p in made.named_parameters() if name not in learning)
