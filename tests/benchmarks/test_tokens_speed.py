"""Reducing beside reading in one run: the ratio is what must hold, with room for a busy machine."""

from __future__ import annotations

import pytest

import tessera
from tessera.data import procedural
from tessera.models.tokens import reduce

from .clock import fastest


def test_row_74_reduction_costs_little_beside_reading(capsys: pytest.CaptureFixture[str]) -> None:
    """Ranking 24,576 cells by bits takes a small part of the time that reading their latents takes."""
    data = tessera.encode(procedural.clip(4, 512, 768), codec="wavelet", fps=25)
    with tessera.open(data) as clip:
        reading = fastest(clip.latents)
        grid = clip.latents()
    reducing = fastest(lambda: reduce(grid, "bits", 512))
    with capsys.disabled():
        print(f"\nreading {reading * 1e3:.0f} ms, reducing {reducing * 1e3:.1f} ms")
    assert reducing < 0.25 * reading  # about 0.05 measured
