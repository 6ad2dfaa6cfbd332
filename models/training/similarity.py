"""Multi-scale structural similarity of pictures, for training (Wang, Simoncelli and Bovik, 2003).

Reports measure with a library (`tools/measuring/metrics.py`); this version passes gradients.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # exponents of the scales, finest first, as published
WINDOW, SIGMA = 11, 1.5
K1, K2, RANGE = 0.01, 0.03, 255.0
SMALLEST = (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1  # side that a picture must have


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """(B,) in 0..1 of pictures (B, 3, H, W) float in 0..255, both sides at least SMALLEST; ValueError below."""
    if min(a.shape[2:]) < SMALLEST:
        raise ValueError(f"a side of {min(a.shape[2:])} pixels is below {SMALLEST}")
    result = torch.ones(a.shape[:2], device=a.device)
    for scale, weight in enumerate(WEIGHTS):
        whole, contrast = _ssim(a, b)
        part = whole if scale + 1 == len(WEIGHTS) else contrast
        result = result * part.clamp(min=1e-6) ** weight
        pad = [side % 2 for side in a.shape[2:]]
        a, b = (F.avg_pool2d(x, 2, padding=pad) for x in (a, b))
    return result.mean(1)


def _ssim(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Similarity, and its part of contrast and structure: (B, C) each."""
    planes = torch.cat([a, b, a * a, b * b, a * b])
    mean_a, mean_b, aa, bb, ab = _blurred(planes).chunk(5)
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    spread = aa - mean_a**2 + bb - mean_b**2
    contrast = (2 * (ab - mean_a * mean_b) + c2) / (spread + c2)
    level = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return (level * contrast).mean((2, 3)), contrast.mean((2, 3))


def _blurred(x: Tensor) -> Tensor:
    """Under a Gaussian window, without borders: two matrix products, several times faster than convolutions here."""
    down, across = (_window(side, x.device) for side in x.shape[2:])
    return down.t() @ (x @ across)


@lru_cache(maxsize=32)
def _window(side: int, device: torch.device) -> Tensor:
    """(side, side - WINDOW + 1): the window in every place."""
    apart = torch.arange(side)[:, None] - torch.arange(side - WINDOW + 1)[None] - WINDOW // 2
    window = torch.exp(-(apart.float() ** 2) / (2 * SIGMA**2)) * (apart.abs() <= WINDOW // 2)
    return (window / window.sum(0)).to(device)
