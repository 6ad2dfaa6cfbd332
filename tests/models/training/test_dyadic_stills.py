"""The training task of frames on their own as pyramids: steps, what it exports, and going on from that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.data import procedural
from tessera.entropy.coder import Decoder
from tessera.models.base.family import GroupSpec
from tessera.models.base.kernels import Kernels
from tessera.models.base.ports import Nowhere
from tessera.models.base.task import arrays_of, tensors_of
from tessera.models.networks.optim import MuonAdam
from tessera.models.prior.native import CodedFrame
from tessera.models.registry import build, task
from tessera.models.training.dyadic_coding import Written, dyadic_coder, tables_of
from tessera.models.training.dyadic_stills import DyadicStillTask
from tessera.models.training.exporting import Tensors
from tessera.models.training.perceptual import PerceptualTuning
from tessera.models.training.similarity import SMALLEST
from tessera.models.training.spatiotemporal import SpatiotemporalTask
from tessera.models.training.stills import PyramidStills
from tessera.models.training.wavelet import still_model
from tessera.models.transform.levels import EVERY
from tessera.models.transform.lifted import UNITS
from tessera.models.wavelet.dyadic_still import DyadicStill

from ...support.small_wavelet import train
from ..prior.test_dyadic import NativePort

SIZES = {"width": 8, "blocks": 1, "fast_width": 8, "fast_blocks": 1}
QUALITY = 2000
SPEC = GroupSpec(1, 48, 72, 3, QUALITY)


def picture(seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(procedural.picture(48, 72, seed=seed)).permute(2, 0, 1).contiguous()


@pytest.fixture(scope="module")
def trained() -> DyadicStillTask:
    """A task after a few steps on one picture."""
    torch.manual_seed(0)
    made = task("dyadic", **SIZES)
    assert isinstance(made, DyadicStillTask)
    made.initialise([picture()])
    optimiser, crop = MuonAdam(made.groups()), picture()[None, :, :32, :32].float().repeat(2, 1, 1, 1)
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


def copy_of(made: DyadicStillTask) -> DyadicStillTask:
    other = task("dyadic", **SIZES)
    assert isinstance(other, DyadicStillTask)
    other.load_state_dict(made.state_dict())
    return other


def pixels_of(still: DyadicStill, coded: CodedFrame, decoder: str) -> NDArray[np.float32]:
    found = np.empty((48, 72, 3), np.uint8)
    still.paint(coded, SPEC, decoder, found)
    return found.astype(np.float32)


@pytest.fixture(scope="module")
def exported(trained: DyadicStillTask) -> Tensors:
    tensors, notes = copy_of(trained).export([picture()[:, :32, :32]])
    assert int(notes["largest_accumulator"]) < 1 << 20
    return tensors


def test_export_decodes_to_what_training_showed(exported: Tensors) -> None:
    """The decoder's integers show the pixels of the float network, but for roundings; so does `restore`."""
    arrays = arrays_of(exported)
    still, tables = dyadic_coder(arrays, Kernels()), tables_of(arrays)
    made = task("dyadic", **SIZES)
    made.restore(exported)
    rate, shown = made.rate_distortion(picture(2)[None].float(), QUALITY)

    port = Written(tables)
    still.put(picture(2).permute(1, 2, 0).contiguous().numpy(), SPEC, port, "fast")
    data = port.encoder.finish()
    coded = still.prior.read(SPEC, NativePort(Decoder(tables, data)))
    found, plain = (pixels_of(still, coded, decoder) for decoder in ("standard", "none"))
    expected = shown[0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).mean() < 0.3 * np.abs(plain - expected).mean()
    assert rate == pytest.approx(8 * len(data) / (48 * 72), rel=0.01)


def test_with_what_predicted_frames_had_it_is_a_family(trained: DyadicStillTask) -> None:
    """Tables of predicted frames stay behind the new ones; training of predicted frames goes on from the file."""
    made, old = copy_of(trained), tensors_of(weights.read(weights.files("spatiotemporal")[0])[0])
    with pytest.raises(ValueError, match="adopt weights of family spatiotemporal"):
        made.adopt({name: t for name, t in old.items() if not name.startswith("priors.")})
    made.adopt(old)
    made.priors = False  # its tables are not fitted again
    tensors, options = made.export([picture()])
    assert all(torch.equal(tensors[name], old[name]) for name in old if name.startswith(("priors.", "inter.")))
    family = build("spatiotemporal", arrays_of(tensors), options)
    assert family.tables.frequencies.shape[0] == len(old["tables.sizes"]) + len(old["motion.sizes"]) + 32
    frames = procedural.clip(3, 48, 72, seed=1)
    port = EncoderPort(family.tables)
    spec = replace(SPEC, frames=3, quality=4300)
    family.encode(frames, spec, port)
    found = family.decode(spec, DecoderPort(family.tables, port.finish()), "fast")
    assert np.abs(found.astype(int) - frames).mean() < 8

    again = SpatiotemporalTask(decoders=0)
    again.restore(tensors)
    prior, still = again.coder()
    assert isinstance(still, DyadicStill) and prior.intra is still.prior
    kept = again.still_tensors()
    assert all(torch.equal(kept[name], tensors[name]) for name in tensors if name.startswith(("still.", "signs.")))
    with pytest.raises(ValueError, match="pyramids"):
        still_model(tensors)


def test_slow_follows_the_decoder(exported: Tensors) -> None:
    """The copy paints as the decoder does, up to roundings, and what it moves comes out closer."""
    arrays = arrays_of(exported)
    still = dyadic_coder(arrays, Kernels())
    planes, steps = still.kernels.planes(picture(2).permute(1, 2, 0).contiguous().numpy()), still.steps.at(QUALITY)
    coded = still.prior.code(planes, SPEC, Nowhere())
    assert coded.planes is not None
    packet, low = still.kernels.analyse(coded.planes, EVERY)
    words = still.describe(packet, low, QUALITY, steps)
    added, painted = still.refinement().paint(coded.planes, words, QUALITY, steps.size)
    assert [part.shape[2:] for part in added] == [(24, 36), (12, 18), (6, 9)]
    expected = still.planes(coded, QUALITY, "standard", [])
    assert np.abs(painted.detach().numpy() * UNITS - expected).mean() < 0.1 * np.abs(expected - coded.planes).mean() + 1

    given, found = picture(2).permute(1, 2, 0).contiguous().numpy(), []
    for effort in ("fast", "slow"):
        port = Written(tables_of(arrays))
        shown = pixels_of(still, still.put(given, SPEC, port, effort), "standard")
        found.append((len(port.encoder.finish()), float(np.square(shown - given).mean())))
    (size, error), (slow_size, slow_error) = found
    assert slow_size < 1.01 * size
    assert slow_error < 0.985 * error


def test_decoder_perceptual_is_trained_beside_pyramids(exported: Tensors) -> None:
    """It starts as decoder standard, learns alone, and shows what its integers show."""
    tuning = PerceptualTuning(exported)
    assert tuning.stills.owner == "" and isinstance(tuning.stills, PyramidStills)
    batch = picture(3)[None].float().repeat(1, 1, 4, 3)[:, :, :SMALLEST, :SMALLEST]
    logged, changed = train(tuning, batch, 3)
    assert logged[-1]["msssim_db"] > logged[0]["msssim_db"]
    assert changed and all(name.startswith("network.") for name in changed)
    tensors, _ = tuning.export([picture()])
    assert {name.split(".")[0] for name in tensors} == {"perceptual"}

    still, given = dyadic_coder(arrays_of(exported | tensors), Kernels()), picture(2)
    coded = still.put(given.permute(1, 2, 0).contiguous().numpy(), SPEC, Nowhere(), "medium")
    found = pixels_of(still, coded, "perceptual")
    with torch.no_grad():
        shown = tuning.stills.painted(tuning.network, given[None].float(), torch.tensor([QUALITY]))[0]
    expected = shown.round().clamp(0, 255).permute(1, 2, 0).numpy()
    plain = pixels_of(still, coded, "none")
    assert np.abs(found - expected).mean() < 0.3 * np.abs(plain - expected).mean()


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
