"""A pass of a fit beside its twin in PyTorch in one run: a ratio, with room for a busy machine."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tessera.models.overfitted.fitting import PictureFit
from tessera.models.overfitted.shape import POINTS

from ..models.overfitted.twin import Twin
from .clock import fastest


def test_a_pass_beside_its_twin(capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (128, 192, 3), dtype=np.uint8)
    fit = PictureFit(pixels, 1, 7, 1e-3)
    fit.start()
    weights, at = {}, 0
    for shape in fit.tensors:
        part = fit.state.parameters[at : at + shape.size].reshape(shape.shape)
        weights[shape.name] = torch.from_numpy(part.copy()).requires_grad_()
        at += shape.size
    latents = [torch.from_numpy(fit.fit.latents(i).copy()).requires_grad_() for i in range(len(fit.grids))]
    twin = Twin(fit.fit.grids, 7, POINTS[1].spatial)
    target = torch.from_numpy(pixels).float() / 255

    def theirs() -> None:
        twin.loss(latents, weights, target, 0.3, 1e-3)[0].backward()

    ours = fastest(lambda: fit.fit.measure(fit.state.parameters, 0.3, 0.0, 1e-3, True))
    ratio = fastest(theirs) / ours
    with capsys.disabled():
        print(f"\na pass of a fit is {ratio:.1f} times as fast as its twin in PyTorch")
    assert ratio > 2
