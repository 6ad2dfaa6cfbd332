"""Decoder `perceptual`: the loss, the training task, and the file that an install may lack."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tessera
from tessera.codec.coding import weights
from tessera.data import procedural
from tessera.models.base.task import arrays_of
from tessera.models.training.perceptual import PerceptualTuning
from tessera.models.training.similarity import SMALLEST, ms_ssim

from ...support.small_wavelet import pictures, small_arrays, small_weights, train


@pytest.mark.parametrize("size", [(161, 200), (176, 161), (203, 187)])
def test_similarity_is_the_library_s(size: tuple[int, int]) -> None:
    library = pytest.importorskip("pytorch_msssim").ms_ssim
    generator = torch.Generator().manual_seed(0)
    a = torch.nn.functional.interpolate(torch.rand(2, 3, 20, 20, generator=generator) * 255, size, mode="bicubic")
    b = a + 12 * torch.randn(a.shape, generator=generator)
    assert torch.allclose(ms_ssim(a, b), library(a, b, data_range=255, size_average=False), atol=1e-5)
    b.requires_grad_()
    ms_ssim(a, b).sum().backward()
    assert b.grad is not None and bool(b.grad.isfinite().all())


def test_similarity_needs_five_scales() -> None:
    assert SMALLEST == 161
    with pytest.raises(ValueError, match="161"):
        ms_ssim(torch.zeros(1, 3, 160, 300), torch.zeros(1, 3, 160, 300))


def test_tuning_moves_the_network_alone() -> None:
    task = PerceptualTuning(small_weights())
    logged, changed = train(task, pictures(2), 12)
    assert logged[-1]["msssim_db"] > logged[0]["msssim_db"] + 0.03
    assert changed and all(name.startswith("network.") or name.endswith("ladder.counts") for name in changed)
    picture = pictures(1)[0].to(torch.uint8)
    tensors, _ = task.export([picture])
    assert {name.split(".")[0] for name in tensors} == {"perceptual"}
    again = PerceptualTuning(small_weights())
    again.restore(tensors)
    found, expected = again.examine([picture]), task.examine([picture])
    assert found.keys() >= {"msssim_db", "msssim_db_standard", "psnr"}
    assert expected["msssim_db"] > expected["msssim_db_standard"] + 0.01
    assert found["msssim_db"] == pytest.approx(expected["msssim_db"], abs=0.003)


def test_a_file_beside_the_weights_is_one_more_decoder(weights_folder: Path) -> None:
    """The same bytes, painted by a network that the install has, or not; a file for other weights is not taken."""
    name = weights.write(weights_folder / "wavelet.safetensors", small_arrays(), {})
    photo = procedural.picture(40, 56)
    data = tessera.encode(photo, codec="wavelet")
    with pytest.raises(tessera.UnsupportedError, match="no decoder 'perceptual'; there are standard, fast"):
        tessera.decode(data, decoder="perceptual")

    task = PerceptualTuning(small_weights())
    torch.nn.init.normal_(task.network.leave.weight, std=0.1)
    arrays = arrays_of(task.export([pictures(1)[0].to(torch.uint8)])[0])
    weights.write(weights.companion_file("wavelet", "perceptual"), arrays, {"of": "0" * 16})
    weights._families.clear()
    with pytest.raises(tessera.UnsupportedError, match="no decoder 'perceptual'"):
        tessera.decode(data, decoder="perceptual")

    weights.write(weights.companion_file("wavelet", "perceptual"), arrays, {"of": name.hex()})
    weights._families.clear()
    shown = tessera.decode(data, decoder="perceptual")
    assert (shown != tessera.decode(data)).any()
    assert tessera.encode(photo, codec="wavelet") == data
    named = tessera.encode(photo, codec="wavelet", decoder="perceptual")
    assert (tessera.decode(named) == shown).all()
    weights.companion_file("wavelet", "perceptual").unlink()
    weights._families.clear()
    assert (tessera.decode(named) == tessera.decode(data)).all()  # the family's first, where it is not there
