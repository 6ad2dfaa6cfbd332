"""The wavelet transform against PyWavelets, its inverse, and the order of its bands."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tessera.models.transform import packet as wp
from tessera.models.transform.bands import CELL, LEVELS, band_frequencies, pyramid_sizes
from tessera.models.wavelet.model import WaveletModel


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_one_level_is_pywavelets_bior44_away_from_the_border() -> None:
    pywt = pytest.importorskip("pywt")
    x = noise(1, 1, 48, 64)
    mine = wp.analyse(x)[0, 0].numpy()
    margin = 16
    low, (lh, hl, hh) = pywt.dwt2(np.pad(x[0, 0].numpy(), margin, mode="reflect"), "bior4.4", mode="symmetric")
    # PyWavelets calls the band that is high along the rows' index "horizontal detail" and turns the high-pass sign
    for theirs, ours in ((low, mine[0]), (-hl, mine[1]), (-lh, mine[2]), (hh, mine[3])):
        cut = theirs[margin // 2 + 2 : margin // 2 + 26, margin // 2 + 2 : margin // 2 + 34]
        np.testing.assert_allclose(ours, cut, atol=1e-9)


@pytest.mark.parametrize("size", [(8, 8), (16, 24), (64, 48), (8, 256)])
def test_packet_inverts_exactly(size: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *size) * 255
    back = wp.unpacket(wp.packet(x, LEVELS))
    assert (back - x).abs().max() / 255 <= 1e-5


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (13, 7), (33, 64)])
def test_pyramid_inverts_any_size(size: tuple[int, int]) -> None:
    x = noise(1, 3, *size)
    details, low = wp.pyramid(x, 4)
    assert [tuple(d.shape[2:]) for d in details] == pyramid_sizes(*size, 4)[1:]
    torch.testing.assert_close(wp.unpyramid(details, low, *size), x)


def test_band_ranks_follow_frequency() -> None:
    """A cosine whose frequency lies in the middle of rank k puts most of its energy into the band of rank k."""
    ranks = band_frequencies(LEVELS)
    assert sorted(ranks) == [(v, u) for v in range(8) for u in range(8)]
    n = torch.arange(512, dtype=torch.float64)
    for rank in range(8):
        wave = torch.cos(torch.pi * (rank + 0.5) / 8 * n)[None, None, None].expand(1, 1, 512, 512)
        energy = wp.packet(wave, LEVELS)[0, 0].square().sum((1, 2))
        assert ranks[int(energy.argmax())] == (0, rank)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (31, 40)])
def test_kept_bands_rebuild_gray_pictures_of_any_size(size: tuple[int, int]) -> None:
    model = WaveletModel(width=8, blocks=1)
    gray = (torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(0)) * 255).expand(-1, 3, -1, -1)
    bands = model.analyse(gray)
    assert bands.packet.shape[2:] == (-(-size[0] // CELL), -(-size[1] // CELL))
    back = model.to_pixels(model.dequantise(bands, torch.ones(1)))[:, :, : size[0], : size[1]]
    assert (back - gray).abs().max() < 1e-2


def test_unit_errors_cost_alike() -> None:
    """White errors in the normalised bands make the squared error in pixels that orthonormal bands would."""
    model = WaveletModel(width=8, blocks=1)
    bands = model.analyse(torch.full((1, 3, 256, 256), 128.0))
    generator = torch.Generator().manual_seed(0)
    bands.packet = torch.randn(bands.packet.shape, generator=generator)
    error = model.to_pixels(model.dequantise(bands, torch.ones(1))) - 128.0
    expected = bands.packet.shape[1] / 192
    assert abs(float(error.square().mean()) / expected - 1) < 0.05
