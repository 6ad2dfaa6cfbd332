"""The loops of a fit against their twin in PyTorch, and what fits find."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tessera.models import _fit
from tessera.models.overfitted.fitting import PictureFit, heat, main_phase, rate_weight
from tessera.models.overfitted.shape import PLACES, POINTS, grid_shapes, tensor_shapes
from tessera.models.overfitted.soap import Soap

from .twin import Twin

TEMPERATURE, WEIGHT = 0.3, 1e-2
SHAPES = [
    (0, 20, 33, 1, 5),
    (1, 3, 5, 3, 7),
    (2, 17, 150, 3, 7),
    (1, 1, 1, 3, 1),
]  # point, height, width, channels, levels


def fit_of(point: int, shape: tuple[int, int, int], levels: int, path: str | None) -> _fit.Fit:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    chosen = POINTS[point]
    return _fit.Fit(pixels, levels, PLACES[: chosen.spatial], chosen.features, chosen.width, chosen.windows, 1, path)


@pytest.mark.parametrize("path", _fit.cpu_paths())
@pytest.mark.parametrize(("point", "height", "width", "channels", "levels"), SHAPES)
def test_loss_and_gradients_are_those_of_the_twin(
    path: str, point: int, height: int, width: int, channels: int, levels: int
) -> None:
    random = np.random.default_rng(0)
    fit = fit_of(point, (height, width, channels), levels, path)
    parameters = (random.normal(size=fit.parameters) * 0.06).astype(np.float32)
    for name, at, _ in fit.tensors:
        if name == "context.3.bias":
            parameters[at + 1] += 4  # scales near 1
    for i in range(len(fit.grids)):
        grid = fit.latents(i)
        grid[...] = random.normal(size=grid.shape) * 0.15
    error, bits, gradient = fit.measure(parameters, TEMPERATURE, 0.0, WEIGHT, True)

    weights = {
        name: torch.tensor(parameters[at : at + math.prod(shape)].reshape(shape).astype(np.float64), requires_grad=True)
        for name, at, shape in fit.tensors
    }
    latents = [torch.tensor(fit.latents(i).astype(np.float64), requires_grad=True) for i in range(len(fit.grids))]
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, channels), dtype=np.uint8)
    twin = Twin(fit.grids, levels, POINTS[point].spatial)
    loss, expected_error, expected_bits = twin.loss(latents, weights, torch.tensor(pixels / 255), TEMPERATURE, WEIGHT)
    loss.backward()
    assert error == pytest.approx(float(expected_error.detach()), rel=1e-5)
    assert bits == pytest.approx(float(expected_bits.detach()), rel=1e-5)
    for name, at, shape in fit.tensors:
        expected = weights[name].grad
        found = gradient[at : at + math.prod(shape)].reshape(shape)
        close(found, np.zeros(shape) if expected is None else expected.numpy())
    for i, latent in enumerate(latents):
        assert latent.grad is not None
        close(np.array(fit.gradient(i)), latent.grad.numpy())


def close(found: NDArray[Any], expected: NDArray[Any]) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3 * np.abs(expected).max(initial=0) + 1e-9)


def test_tensors_and_grids_are_those_that_are_coded() -> None:
    fit = fit_of(1, (50, 70, 3), 7, None)
    assert [(name, shape) for name, _, shape in fit.tensors] == [(t.name, t.shape) for t in tensor_shapes(1, 7, 3)]
    assert fit.grids == [shape[:2] for shape in grid_shapes(50, 70, 7)]


def test_rounded_latents_are_whole_and_noise_is_the_seeds() -> None:
    """With temperature 0 noise does not count; with it, two seeds differ and one seed is reproducible."""
    one, same, other = (_fit.Fit(np.zeros((9, 9, 1), np.uint8), 2, PLACES[:6], 2, 8, 1, seed) for seed in (1, 1, 2))
    parameters = np.full(one.parameters, 0.05, np.float32)
    for fit in (one, same, other):
        fit.latents(0)[...] = 0.1
    rounded = [fit.measure(parameters, 0.0, 0.5, 1.0, False)[:2] for fit in (one, other)]
    assert rounded[0] == rounded[1]
    noisy = [fit.measure(parameters, 0.3, 0.5, 1.0, False)[:2] for fit in (one, same, other)]
    assert noisy[0] == noisy[1]
    assert noisy[0] != noisy[2]


@pytest.mark.parametrize("path", _fit.cpu_paths())
@pytest.mark.parametrize(
    ("point", "height", "width", "channels", "levels"),
    [(2, 171, 290, 3, 7), (0, 1, 1 << 15, 1, 5), (1, 1366, 24, 1, 9)],
)
def test_threads_do_not_change_a_bit(
    path: str, point: int, height: int, width: int, channels: int, levels: int
) -> None:
    """Steps of networks and latents with one, two and five threads."""
    ends = []
    for threads in (1, 2, 5):
        fit = fit_of(point, (height, width, channels), levels, path)
        random = np.random.default_rng(0)
        parameters = (random.normal(size=fit.parameters) * 0.06).astype(np.float32)
        found = []
        for _ in range(2):
            error, bits, gradient = fit.measure(parameters, TEMPERATURE, 0.2, WEIGHT, True, threads)
            parameters -= 0.01 * gradient
            fit.step_latents(0.01, 0.9, 0.99, 1.0, 1.0, 1e-8, threads)
            found += [np.array([error, bits]), gradient]
        found += [fit.latents(i) for i in range(len(fit.grids))]
        found.append(np.array(fit.measure(parameters, 0.0, 0.0, WEIGHT, False, threads)[:2]))
        ends.append(b"".join(np.ascontiguousarray(array).tobytes() for array in found))
    assert ends[0] == ends[1] == ends[2]


def test_a_fit_finds_a_picture() -> None:
    """A gradient with an edge: a hundred steps bring the loss under a tenth of that of a flat colour."""
    y, x = np.mgrid[:48, :64]
    pixels = np.stack([2 * x + y, 128 + 0 * x, np.where(x > 30, 200, 20)], -1).astype(np.uint8)
    fit = PictureFit(pixels, 1, 6, rate_weight(3200))
    fit.start()
    for phase in (heat(60, fit.weight), main_phase(160)):
        for _ in fit.run(phase):
            pass
    unit = pixels / 255
    assert fit.score().loss < 0.1 * np.square(unit - unit.mean((0, 1))).mean()


def test_soap_turns_into_the_eigenbasis() -> None:
    """On a badly scaled rotated quadratic SOAP gets nearer than Adam, which is what it does without matrices."""
    random = np.random.default_rng(0)
    left, right = (np.linalg.qr(random.normal(size=(6, 6)))[0] for _ in range(2))
    scales = np.outer(10.0 ** np.linspace(-2, 2, 6), 10.0 ** np.linspace(-2, 2, 6))
    start = random.normal(size=36)
    ends = []
    for matrices in ([(0, 6, 6)], []):
        at = start.copy()
        optimiser = Soap(36, matrices, every=1)
        for step in range(300):
            gradient = left @ (scales * (left.T @ at.reshape(6, 6) @ right)) @ right.T
            optimiser.step(at, gradient.ravel(), 0.03 * (1 - step / 300))
        ends.append(float((scales * np.square(left.T @ at.reshape(6, 6) @ right)).sum()))
    assert ends[0] < 0.1 * ends[1]
