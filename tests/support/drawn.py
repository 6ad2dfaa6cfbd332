"""Pictures and clips drawn in integers alone: the same on every machine, whatever its mathematics library does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def picture(height: int, width: int, channels: int, shift: int = 0) -> NDArray[np.uint8]:
    """Ramps, rings and stripes, a disc with a hard edge, a little noise; `shift` moves it, as a frame of a clip."""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    x = x + shift
    ramp, rings = 2 * x + 3 * y, (y - 20) ** 2 + (x - 31) ** 2
    planes = [
        wave(ramp, 256) + wave(rings >> 4, 96),
        wave(ramp + 90, 300) + wave(rings >> 5, 64),
        wave(3 * y, 200) + wave(5 * x, 256) // 2,
    ]
    noise = (x * 2654435761 + y * 40503 >> 7) % 9
    disc = (y - 34) ** 2 + (x - 70) ** 2 < 330
    full = np.stack([np.where(disc, 210 - 50 * k, plane) + noise for k, plane in enumerate(planes)], -1)
    pixels: NDArray[np.uint8] = full.clip(0, 255).astype(np.uint8)[..., :channels].copy()
    return pixels


def clip(frames: int, height: int, width: int, channels: int) -> NDArray[np.uint8]:
    """The same, moving three pixels per frame."""
    return np.stack([picture(height, width, channels, 3 * frame) for frame in range(frames)])


def wave(x: NDArray[np.int64], period: int) -> NDArray[np.int64]:
    """A triangle between 0 and half the period."""
    place = x % period
    folded: NDArray[np.int64] = np.minimum(place, period - place)
    return folded
