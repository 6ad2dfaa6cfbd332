"""How close two pictures are.  Pictures are uint8 (H, W, 3) or (H, W, 1); the result is one float.

PSNR       10 log10(255^2 / MSE) over every sample of the picture, RGB, 8 bits.  A clip's or set's figure is the MEAN OF
           the pictures' PSNRs, not the PSNR of their mean error.
YUV 6:1:1  (6 PSNR(Y) + PSNR(U) + PSNR(V)) / 8, of both pictures taken from RGB to 8-bit limited-range 4:2:0 by the same
           conversion (BT.601 or BT.709; chroma is the mean of each 2 x 2 block).
MS-SSIM    the multi-scale structural similarity of the package pytorch-msssim (11-tap window, 5 scales, RGB), 0..1;
           in dB it is -10 log10(1 - x).  It needs at least 161 pixels both ways.
LPIPS      version 0.1, AlexNet, of the package lpips, where the weights of the network are on this machine; lower is
           closer.
"""

from __future__ import annotations

import importlib.util
import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tessera.codec.media.types import Pixels

MS_SSIM_SIDE = 161  # four halvings must leave the 11-tap window inside
LPIPS_WEIGHTS = "alexnet-owt-7be5be79.pth"
_LUMA = {"bt601": (0.299, 0.587, 0.114), "bt709": (0.2126, 0.7152, 0.0722)}


def psnr(first: Pixels, second: Pixels) -> float:
    """PSNR in dB of two pictures of equal shape; infinite where they are equal."""
    _check(first, second)
    # int32 differences squared reach 65,025, so summing them in int64 is exact for any picture
    difference = first.astype(np.int32) - second.astype(np.int32)
    total = int(np.sum(difference * difference, dtype=np.int64))
    return math.inf if total == 0 else 10 * math.log10(255.0**2 * difference.size / total)


def psnr_yuv(first: Pixels, second: Pixels, matrix: str = "bt601") -> float:
    """YUV 6:1:1 PSNR in dB of two RGB pictures (H, W, 3); infinite where a plane is equal."""
    _check(first, second)
    planes = zip(yuv420(first, matrix), yuv420(second, matrix), strict=True)
    y, u, v = (psnr(a, b) for a, b in planes)
    return (6 * y + u + v) / 8


def yuv420(pixels: Pixels, matrix: str) -> tuple[Pixels, Pixels, Pixels]:
    """RGB (H, W, 3) to 8-bit limited-range planes: Y (H, W), U and V (ceil(H / 2), ceil(W / 2))."""
    red, green, blue = _LUMA[matrix]
    rgb = pixels.astype(np.float32)
    luma = rgb @ np.array((red, green, blue), np.float32)
    height, width = luma.shape
    difference = np.stack([(rgb[..., 2] - luma) / (1 - blue), (rgb[..., 0] - luma) / (1 - red)]) / 2
    even = np.pad(difference, ((0, 0), (0, height % 2), (0, width % 2)), "edge")
    chroma = even.reshape(2, (height + 1) // 2, 2, (width + 1) // 2, 2).mean((2, 4))
    u, v = np.rint(128 + chroma * (224 / 255)).clip(0, 255).astype(np.uint8)
    return np.rint(16 + luma * (219 / 255)).clip(0, 255).astype(np.uint8), u, v


def ms_ssim(first: Pixels, second: Pixels) -> float | None:
    """MS-SSIM of two pictures of equal shape; None where a side is below 161 pixels."""
    _check(first, second)
    if min(first.shape[:2]) < MS_SSIM_SIDE:
        return None
    import torch
    from pytorch_msssim import ms_ssim as measure

    with torch.inference_mode():
        return float(measure(_tensor(first), _tensor(second), data_range=255.0))


def ms_ssim_db(value: float) -> float:
    """-10 log10(1 - value), infinite at 1."""
    return math.inf if value >= 1 else -10 * math.log10(1 - value)


def why_no_lpips() -> str:
    """The reason that LPIPS cannot be measured here, in one line; empty where it can."""
    if importlib.util.find_spec("lpips") is None:
        return "LPIPS is not measured: the package lpips is not installed"
    import torch

    file = Path(torch.hub.get_dir()) / "checkpoints" / LPIPS_WEIGHTS
    if not file.exists():
        return f"LPIPS is not measured: AlexNet's weights ({LPIPS_WEIGHTS} of download.pytorch.org/models) are not here"
    return ""


def lpips(first: Pixels, second: Pixels) -> float | None:
    """LPIPS of two RGB pictures; None where `why_no_lpips` has a reason."""
    _check(first, second)
    network = _lpips_network()
    if network is None:
        return None
    import torch

    with torch.inference_mode():
        return float(network(_tensor(first) / 127.5 - 1, _tensor(second) / 127.5 - 1))


@lru_cache(maxsize=1)
def _lpips_network() -> Any:
    if why_no_lpips():
        return None
    from tessera.tools.peers.mend import mend_torchvision

    mend_torchvision()
    import lpips

    return lpips.LPIPS(net="alex", verbose=False).eval()


def _check(first: Pixels, second: Pixels) -> None:
    if first.shape != second.shape:
        raise ValueError(f"pictures of different shapes, {first.shape} and {second.shape}")


def _tensor(pixels: Pixels) -> Any:
    """float (1, C, H, W) in 0..255."""
    import torch

    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
