"""How close two pictures are.  Pictures are uint8 (H, W, 3) or (H, W, 1); the result is one float.

PSNR     10 log10(255^2 / MSE) over every sample of the picture, RGB, 8 bits.  A clip's or set's figure is the MEAN OF
         the pictures' PSNRs, not the PSNR of their mean error.
MS-SSIM  the multi-scale structural similarity of the package pytorch-msssim (11-tap window, 5 scales, RGB), 0..1;
         in dB it is -10 log10(1 - x).  It needs at least 161 pixels both ways.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

MS_SSIM_SIDE = 161  # four halvings must leave the 11-tap window inside


def psnr(first: Pixels, second: Pixels) -> float:
    """PSNR in dB of two pictures of equal shape; infinite where they are equal."""
    if first.shape != second.shape:
        raise ValueError(f"pictures of different shapes, {first.shape} and {second.shape}")
    # int32 differences squared reach 65,025, so summing them in int64 is exact for any picture
    difference = first.astype(np.int32) - second.astype(np.int32)
    total = int(np.sum(difference * difference, dtype=np.int64))
    return math.inf if total == 0 else 10 * math.log10(255.0**2 * difference.size / total)


def ms_ssim(first: Pixels, second: Pixels) -> float | None:
    """MS-SSIM of two pictures of equal shape; None where a side is below 161 pixels."""
    if first.shape != second.shape:
        raise ValueError(f"pictures of different shapes, {first.shape} and {second.shape}")
    if min(first.shape[:2]) < MS_SSIM_SIDE:
        return None
    import torch
    from pytorch_msssim import ms_ssim as measure

    def tensor(pixels: Pixels) -> Any:
        return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]

    with torch.inference_mode():
        return float(measure(tensor(first), tensor(second), data_range=255.0))


def ms_ssim_db(value: float) -> float:
    """-10 log10(1 - value), infinite at 1."""
    return math.inf if value >= 1 else -10 * math.log10(1 - value)
