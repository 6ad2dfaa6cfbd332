"""Training of dyadic frames: steps, what it exports, and going on from that."""

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
from tessera.models.prior.quantisers import ODD_TABLES
from tessera.models.prior.signs import SIGN_TABLES
from tessera.models.registry import build, task
from tessera.models.training.dyadic_analysis import DyadicAnalysis, analysis_training
from tessera.models.training.dyadic_coding import Counted, Written, coded_pyramids, dyadic_coder, tables_of
from tessera.models.training.dyadic_stills import DyadicStillTask
from tessera.models.training.exporting import Tensors
from tessera.models.training.perceptual import PerceptualTuning
from tessera.models.training.similarity import SMALLEST
from tessera.models.training.spatiotemporal import SpatiotemporalTask
from tessera.models.training.stills import DyadicStills
from tessera.models.training.wavelet import still_model
from tessera.models.transform.lifted import UNITS
from tessera.models.wavelet.base_still import MOVE_REACH
from tessera.models.wavelet.dyadic_refinement import paint_with
from tessera.models.wavelet.dyadic_still import DyadicStill, from_cells, in_planes, to_cells
from tessera.models.wavelet.model import WORD_UNIT
from tessera.models.wavelet.words import LOWS

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
    assert isinstance(made, DyadicStillTask)
    made.restore(exported)
    # restored tables differ a little from the file's, and another value leads to other quantisers
    made.coder = lambda: (still, tables)  # type: ignore[method-assign]
    rate, shown = made.rate_distortion(picture(2)[None].float(), QUALITY)

    port = Written(tables)
    still.put(picture(2).permute(1, 2, 0).contiguous().numpy(), SPEC, port, "fast")
    data = port.encoder.finish()
    coded = still.prior.read(SPEC, NativePort(Decoder(tables, data)))
    found, plain = (pixels_of(still, coded, decoder) for decoder in ("standard", "none"))
    expected = shown[0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).mean() < 0.3 * np.abs(plain - expected).mean()
    assert rate == pytest.approx(8 * len(data) / (48 * 72), rel=0.01)


def test_bits_in_training_are_those_of_the_coder(exported: Tensors) -> None:
    """Of the same values, by rungs that are not whole numbers in training: as many but for the coder's own bytes."""
    made = task("dyadic", **SIZES)
    assert isinstance(made, DyadicStillTask)
    made.restore(exported)
    still, tables = made.coder()
    for quality in (1500, 4000):
        port, at = Counted(), torch.tensor([quality])
        spec = replace(SPEC, quality=quality)
        still.put(picture(2).permute(1, 2, 0).contiguous().numpy(), spec, port, "fast")
        spent = sum(float(tables.bits(*call).sum()) for call in port.calls)
        pyramids = coded_pyramids(still, picture(2)[None].float(), at)
        with torch.no_grad():
            found = float(made.model.bits(pyramids, at, (48, 72)))
        assert found == pytest.approx(spent, rel=0.04)
        values, odd = pyramids.values[0], pyramids.odd[0]
        assert odd[values == 0].any() and odd[values != 0].any() and not odd.all()


def test_an_averaged_copy_is_measured_as_it_is(trained: DyadicStillTask) -> None:
    """Its numbers change without steps of its own."""
    copy = copy_of(trained)
    before, _ = copy.rate_distortion(picture(2)[None].float(), QUALITY)
    with torch.no_grad():
        for parameter in copy.model.prior.parameters():
            parameter.mul_(0.5)
    after, _ = copy.rate_distortion(picture(2)[None].float(), QUALITY)
    assert after > 1.05 * before


def test_with_what_predicted_frames_had_it_is_a_family(trained: DyadicStillTask) -> None:
    """Tables of predicted frames stay behind the new ones; training of predicted frames goes on from the file."""
    made, old = copy_of(trained), tensors_of(weights.read(weights.files("spatiotemporal")[0])[0])
    with pytest.raises(ValueError, match="adopt weights of family spatiotemporal"):
        made.adopt({name: t for name, t in old.items() if not name.startswith("priors.")})
    made.adopt(old)
    made.priors = False  # its tables are not fitted again
    tensors, options = made.export([picture()])
    assert options["family"] == "spatiotemporal"
    assert all(torch.equal(tensors[name], old[name]) for name in old if name.startswith(("priors.", "inter.")))
    family = build("spatiotemporal", arrays_of(tensors), options)
    before = len(old["tables.sizes"]) + len(old["motion.sizes"])
    assert len(family.tables) == before + SIGN_TABLES + ODD_TABLES
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
    own = [name for name in tensors if name.startswith(("still.", "signs.", "odd."))]
    assert all(torch.equal(kept[name], tensors[name]) for name in own)
    with pytest.raises(ValueError, match="dyadic"):
        still_model(tensors)


def test_slow_follows_the_decoder(exported: Tensors) -> None:
    """The copy paints as the decoder does, up to roundings, and what it moves comes out closer."""
    arrays = arrays_of(exported)
    still = dyadic_coder(arrays, Kernels())
    pixels = picture(2).permute(1, 2, 0).contiguous().numpy()
    coded = still.prior.code(still.kernels.planes(pixels), SPEC, Nowhere())
    assert coded.planes is not None
    shown = torch.from_numpy(coded.planes.astype(np.float32))[None] / UNITS
    words = torch.from_numpy(still.words(coded.planes, QUALITY).astype(np.float32))[None] / WORD_UNIT
    lows = words[..., -LOWS:].permute(0, 3, 1, 2)
    added, planes = paint_with(still.refinement().network, shown, lows, torch.tensor([QUALITY]), bf16=False)
    assert [part.shape[2:] for part in added] == [(24, 36), (12, 18), (6, 9)]
    expected = still.planes(coded, QUALITY, "standard", [])
    error = np.abs(planes[0].detach().numpy() * UNITS - expected).mean()
    assert error < 0.1 * np.abs(expected - coded.planes).mean() + 1

    found = []
    for effort in ("fast", "slow"):
        port = Written(tables_of(arrays))
        decoded = pixels_of(still, still.put(pixels, SPEC, port, effort), "standard")
        found.append((len(port.encoder.finish()), float(np.square(decoded - pixels).mean())))
    (size, error), (slow_size, slow_error) = found
    assert slow_size < 1.01 * size
    assert slow_error < 0.985 * error


def test_decoder_perceptual_is_trained_beside_pyramids(exported: Tensors) -> None:
    """It starts as decoder standard, learns alone, and shows what its integers show."""
    tuning = PerceptualTuning(exported)
    assert tuning.stills.owner == "" and isinstance(tuning.stills, DyadicStills)
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


def test_the_encoder_s_network(exported: Tensors) -> None:
    """It learns where details should have been.  Its integers move what the float network moves; no decoder has it."""
    with pytest.raises(ValueError, match="option decoders"):
        analysis_training(exported, decoders=1)
    analysis = analysis_training(exported, width=8, blocks=1)
    assert isinstance(analysis, DyadicAnalysis)
    batch = torch.stack([picture(seed)[:, :48, :72] for seed in (3, 4)]).float()
    logged, changed = train(analysis, batch, 12)
    assert logged[0]["left"] == pytest.approx(1.0) and logged[-1]["left"] < 0.97
    assert changed and all(name.startswith("network.") for name in changed)
    tensors, _ = analysis.export([picture()])

    still, given = dyadic_coder(arrays_of(exported | tensors), Kernels()), picture(2)
    assert "analysis" not in still.decoders
    pyramid, spec, words = analysis.read(given, QUALITY)
    assert still.analysis is not None
    found = in_planes(still.moves(still.analysis, pyramid, still.tried(pyramid, spec), spec), spec)
    with torch.no_grad():
        cells = analysis.moves(words, torch.tensor([QUALITY]))[0].permute(1, 2, 0).numpy()
    expected = from_cells(cells, [(24, 36), (12, 18), (6, 9)])
    for move, wanted in zip(found, expected, strict=True):
        assert np.abs(move - wanted).max() < 0.02 < np.abs(wanted).max() <= MOVE_REACH

    rate, shown = analysis.rate_distortion(given[None].float(), QUALITY)
    port, pixels = Written(tables_of(arrays_of(exported))), given.permute(1, 2, 0).contiguous().numpy()
    coded = still.weighing(still.usual_rate_weight("medium")).put(pixels, SPEC, port, "medium")
    assert rate == pytest.approx(8 * len(port.encoder.finish()) / (48 * 72), rel=0.02)
    # a move that rounds otherwise leads a chain to other values, which are as far from the picture
    found_error, error = (
        np.square(one - pixels.astype(np.float64)).mean()
        for one in (pixels_of(still, coded, "standard"), shown[0].permute(1, 2, 0).numpy())
    )
    assert found_error == pytest.approx(error, rel=0.05)


def test_details_of_cells_and_back() -> None:
    """Every detail has one place, of its own cell, whatever the size."""
    sizes, cells = [(11, 17), (6, 9), (3, 5)], (3, 5)
    details = [np.arange(9 * h * w).reshape(9, h, w) + 10000 * level for level, (h, w) in enumerate(sizes)]
    found = to_cells(details, *cells)
    assert (
        found.shape == (3, 5, 189) and found[1, 2, 144] == details[1][0, 2, 4] and found[1, 2, 5] == details[0][0, 5, 9]
    )
    assert all(np.array_equal(a, b) for a, b in zip(from_cells(found, sizes), details, strict=True))


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
