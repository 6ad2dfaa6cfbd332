"""Pictures and moving clips made by arithmetic: the samples of `tessera demo` and of the tests.

One scene holds what codecs find easy and hard: smooth gradients, soft noise, sharp edges, a wall of small tiles,
lettering, a star of thin spokes.  A clip is the same scene as time goes on: the layers pan at different speeds, a ball
crosses them, the star turns.  Equal arguments give equal pixels.  Sizes may be anything from 1x1 up.

The scene is drawn in units of the picture's height: `u` runs right from 0 to width / height, `v` down from 0 to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

_GLYPHS = {  # five columns of seven rows, the lowest bit is the top row
    "T": (0x01, 0x01, 0x7F, 0x01, 0x01),
    "E": (0x7F, 0x49, 0x49, 0x49, 0x41),
    "S": (0x46, 0x49, 0x49, 0x49, 0x31),
    "R": (0x7F, 0x09, 0x19, 0x29, 0x46),
    "A": (0x7E, 0x11, 0x11, 0x11, 0x7E),
    " ": (0x00, 0x00, 0x00, 0x00, 0x00),
}


def picture(height: int, width: int, *, seed: int = 0) -> Pixels:
    """One picture of the scene, uint8 (height, width, 3) RGB."""
    return _render(height, width, 0.0, seed)


def clip(frames: int, height: int, width: int, *, seed: int = 0, fps: float = 25.0) -> Pixels:
    """`frames` consecutive pictures of the moving scene, uint8 (frames, height, width, 3) RGB."""
    if frames < 1:
        raise ValueError(f"a clip has at least one frame, not {frames}")
    return np.stack([_render(height, width, index / fps, seed) for index in range(frames)])


def _render(height: int, width: int, time: float, seed: int) -> Pixels:
    """The scene at `time` seconds, uint8 (height, width, 3)."""
    if height < 1 or width < 1:
        raise ValueError(f"a picture has at least one pixel, not {width}x{height}")
    v, u = np.meshgrid(
        (np.arange(height, dtype=np.float32) + 0.5) / height,
        (np.arange(width, dtype=np.float32) + 0.5) / height,
        indexing="ij",
    )
    soft = 1.0 / height  # edges are blended over one pixel
    wide = width / height
    image = _sky(u, v, time, seed)
    image = _hills(image, u, v, time, soft, seed)
    image = _wall(image, u, v, time, soft, seed)
    image = _board(image, u, v, wide, soft, seed)
    image = _star(image, u, v, wide, time, soft)
    image = _ball(image, u, v, wide, time, soft)
    return np.asarray(np.clip(image * 255.0 + 0.5, 0, 255), dtype=np.uint8)


def _sky(u: Floats, v: Floats, time: float, seed: int) -> Floats:
    """A vertical gradient, a glow near the horizon and slow clouds, (H, W, 3)."""
    low, high = _rgb(0.98, 0.80, 0.60), _rgb(0.22, 0.42, 0.72)
    image = _mix(np.broadcast_to(high, (*v.shape, 3)), low, np.clip(v / 0.62, 0, 1) ** 1.4)
    clouds = _noise(u * 2.4 + 0.10 * time, v * 5.5, seed + 1, octaves=5)
    return _mix(image, _rgb(1.0, 0.97, 0.94), np.clip((clouds - 0.52) * 3.0, 0, 0.8) * (1 - v))


def _hills(image: Floats, u: Floats, v: Floats, time: float, soft: float, seed: int) -> Floats:
    """Two ridges with grassy texture; the nearer one pans faster."""
    for layer, (level, speed, colour) in enumerate(
        ((0.50, 0.03, _rgb(0.42, 0.50, 0.58)), (0.62, 0.07, _rgb(0.24, 0.38, 0.22)))
    ):
        x = u + speed * time
        ridge = level - 0.22 * (_noise(x * 2.0, np.full_like(x, layer), seed + 2, octaves=6) - 0.5)
        grain = _noise(x * 60.0, v * 34.0, seed + 3 + layer, octaves=3)
        shade = (0.62 + 0.75 * grain) * (1.15 - 0.4 * (v - ridge))
        image = _mix(image, colour * shade[..., None], _step(v - ridge, soft))
    return image


def _wall(image: Floats, u: Floats, v: Floats, time: float, soft: float, seed: int) -> Floats:
    """A wall of coloured tiles with dark joints along the bottom, panning fastest."""
    pitch = 1 / 28
    x, y = (u + 0.12 * time) / pitch, (v - 0.74) / pitch
    column, row = np.floor(x), np.floor(y)
    hue = _hash(column, row, seed + 6)
    value = 0.55 + 0.4 * _hash(column, row, seed + 7)
    wave = 0.5 + 0.5 * np.sin(column * 0.55 + 1.3 * np.sin(row * 0.9))
    tile = _mix(np.broadcast_to(_rgb(0.80, 0.44, 0.24), (*u.shape, 3)), _rgb(0.16, 0.48, 0.56), wave)
    tile = tile * (value * (0.85 + 0.3 * _noise(x * 3, y * 3, seed + 8, octaves=2)))[..., None]
    tile = tile + 0.08 * (hue - 0.5)[..., None] * _rgb(1, -0.4, -0.6)
    edge = 0.5 - np.maximum(np.abs(x - column - 0.5), np.abs(y - row - 0.5))  # tile units, 0 on the joint's middle
    tile = _mix(np.broadcast_to(_rgb(0.12, 0.11, 0.12), tile.shape), tile, _step(edge - 0.06, soft / pitch))
    return _mix(image, tile, _step(v - 0.74, soft))


def _board(image: Floats, u: Floats, v: Floats, wide: float, soft: float, seed: int) -> Floats:
    """A white board with large letters and lines of fine print."""
    left, top, width, height = 0.06 * wide, 0.10, min(0.62, 0.5 * wide), 0.28
    inside = np.minimum(np.minimum(u - left, left + width - u), np.minimum(v - top, top + height - v))
    x, y = (u - left) / width, (v - top) / height  # 0..1 on the board
    letters = _text("TESSERA", (x - 0.07) / 0.86, (y - 0.12) / 0.42)
    column, row = np.floor(x * 92), np.floor((y - 0.62) * 30)
    print_ = (_hash(column, row, seed + 9) > 0.55) & (row % 3 != 0) & (row > 0) & (row < 10)
    print_ &= (np.abs(x - 0.5) < 0.43) & (_hash(np.floor(column / 7), np.floor(row / 3), seed + 10) > 0.12)
    ink = np.maximum(letters, 0.8 * print_.astype(np.float32))
    paper = _mix(np.broadcast_to(_rgb(0.97, 0.96, 0.92), image.shape), _rgb(0.10, 0.10, 0.16), ink)
    paper = _mix(np.broadcast_to(_rgb(0.28, 0.20, 0.16), image.shape), paper, _step(inside - 0.008, soft))
    return _mix(image, paper, _step(inside, soft))


def _star(image: Floats, u: Floats, v: Floats, wide: float, time: float, soft: float) -> Floats:
    """A turning disk of 36 spokes, finer and finer towards its middle."""
    dx, dy = u - 0.80 * wide, v - 0.66
    radius, angle = np.hypot(dx, dy), np.arctan2(dy, dx) + 0.4 * time
    width = np.maximum(radius, 1e-6) * np.pi / 18  # one pair of spokes, in heights
    spokes = np.clip(0.5 + 0.5 * np.sin(18 * angle) * np.minimum(width / soft, 8.0), 0, 1)
    colour = _mix(np.broadcast_to(_rgb(0.93, 0.93, 0.90), image.shape), _rgb(0.08, 0.08, 0.10), spokes)
    return _mix(image, colour, _step(0.17 - radius, soft))


def _ball(image: Floats, u: Floats, v: Floats, wide: float, time: float, soft: float) -> Floats:
    """A shaded ball that crosses the scene and bounces."""
    radius = 0.085
    x = (0.56 * wide + 0.34 * time) % (wide + 4 * radius) - 2 * radius
    y = 0.86 - radius - 0.42 * abs(np.sin(1.1 + 2.2 * time))
    dx, dy = (u - x) / radius, (v - y) / radius
    square = dx * dx + dy * dy
    light = np.clip(0.35 + 0.75 * (-0.5 * dx - 0.6 * dy + 0.62 * np.sqrt(np.clip(1 - square, 0, 1))), 0.08, 1.2)
    glint = np.exp(-(((dx + 0.36) ** 2 + (dy + 0.42) ** 2) / 0.03))
    colour = light[..., None] * _rgb(0.86, 0.16, 0.14) + glint[..., None] * 0.8
    return _mix(image, colour, _step((1 - np.sqrt(square)) * radius, soft))


def _text(text: str, x: Floats, y: Floats) -> Floats:
    """1 where (x, y) in the unit square lies in a stroke of `text`, else 0."""
    columns = np.asarray([column for letter in text for column in (*_GLYPHS[letter], 0)][:-1], dtype=np.int64)
    i, j = np.floor(x * len(columns)).astype(np.int64), np.floor(y * 7).astype(np.int64)
    inside = (i >= 0) & (i < len(columns)) & (j >= 0) & (j < 7)
    bits = columns[np.clip(i, 0, len(columns) - 1)] >> np.clip(j, 0, 6)
    return np.asarray(inside & (bits & 1 == 1), dtype=np.float32)


def _noise(x: Floats, y: Floats, seed: int, *, octaves: int) -> Floats:
    """Smooth value noise in 0..1, the mean of `octaves` layers of doubling frequency and halving weight."""
    total, weight, scale = np.zeros_like(x), 0.0, 1.0
    for octave in range(octaves):
        total += _lattice(x * scale, y * scale, seed * 31 + octave) / scale
        weight += 1.0 / scale
        scale *= 2.0
    return np.asarray(total / weight, dtype=np.float32)


def _lattice(x: Floats, y: Floats, seed: int) -> Floats:
    """Random values at integer points, blended smoothly between them."""
    i, j = np.floor(x), np.floor(y)
    s, t = x - i, y - j
    s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
    right, below = i + np.float32(1), j + np.float32(1)
    upper = _hash(i, j, seed) * (1 - s) + _hash(right, j, seed) * s
    lower = _hash(i, below, seed) * (1 - s) + _hash(right, below, seed) * s
    return np.asarray(upper * (1 - t) + lower * t, dtype=np.float32)


def _hash(i: Floats, j: Floats, seed: int) -> Floats:
    """A fixed random value in 0..1 for each pair of integers (multiply and shift, 32 bits)."""
    a, b = i.astype(np.int64).astype(np.uint32), j.astype(np.int64).astype(np.uint32)
    h = a * np.uint32(0x9E3779B1) ^ b * np.uint32(0x85EBCA77) ^ np.uint32(seed * 0x27D4EB2F & 0xFFFFFFFF)
    for multiplier, shift in ((0x7FEB352D, 16), (0x846CA68B, 15)):
        h = (h ^ h >> np.uint32(shift)) * np.uint32(multiplier)
    return np.asarray((h ^ h >> np.uint32(16)) >> np.uint32(8), dtype=np.float32) / np.float32(1 << 24)


def _rgb(red: float, green: float, blue: float) -> Floats:
    return np.asarray([red, green, blue], dtype=np.float32)


def _step(distance: Floats, soft: float) -> Floats:
    """0 outside, 1 inside, a ramp of width `soft` around distance 0."""
    return np.asarray(np.clip(distance / soft + 0.5, 0, 1), dtype=np.float32)


def _mix(below: Any, above: Any, share: Floats) -> Floats:
    """`share` (H, W) of `above` over `below`, both (H, W, 3) or (3,)."""
    weight = share[..., None]
    return np.asarray(below * (1 - weight) + above * weight, dtype=np.float32)
