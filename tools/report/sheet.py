"""Draws pictures side by side with captions, and an enlarged detail of each below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tessera.codec.media.types import Pixels

GAP = 12
MARGIN = 20
CLIP = 24  # differences are clipped at so many gray levels: a hard edge counts no more than fine texture
PANEL = 560  # largest width of a panel, pixels
BACKGROUND = (250, 249, 246)
INK, FAINT = (32, 32, 36), (110, 110, 116)


def side_by_side(title: str, panels: Sequence[tuple[str, str, Pixels]]) -> Image.Image:
    """One sheet from panels (name, figures, uint8 (H, W, 1 or 3)), all of one size.

    Above, the whole pictures, scaled down to fit; below, the same busy detail of each at two or more times its size.
    """
    pictures = [_image(pixels) for _, _, pixels in panels]
    wide, high = pictures[0].size
    scale = min(1.0, PANEL / wide, PANEL / high)
    width, height = max(1, round(wide * scale)), max(1, round(high * scale))
    cell = max(width, 200)
    box = _detail(panels[0][2], cell, round(cell * 0.5))
    zoom = cell / (box[2] - box[0])
    detail_height = round((box[3] - box[1]) * zoom)
    top = MARGIN + 34 + 48
    sheet = Image.new(
        "RGB",
        (2 * MARGIN + len(panels) * cell + (len(panels) - 1) * GAP, top + height + GAP + detail_height + MARGIN),
        BACKGROUND,
    )
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), title, INK, _font(22))
    for index, ((name, figures, _), picture) in enumerate(zip(panels, pictures, strict=True)):
        left = MARGIN + index * (cell + GAP)
        draw.text((left, MARGIN + 36), name, INK, _font(16))
        draw.text((left, MARGIN + 56), figures, FAINT, _font(15))
        shown = picture if scale == 1 else picture.resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(shown, (left, top))
        _outline(draw, (left, top), box, scale)
        enlarged = picture.crop(box).resize((cell, detail_height), Image.Resampling.NEAREST)
        sheet.paste(enlarged, (left, top + height + GAP))
    return sheet


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _outline(draw: ImageDraw.ImageDraw, corner: tuple[int, int], box: tuple[int, int, int, int], scale: float) -> None:
    """A thin frame around the part that is enlarged."""
    left, top, right, bottom = (round(edge * scale) for edge in box)
    x, y = corner
    draw.rectangle((x + left, y + top, x + right - 1, y + bottom - 1), outline=(255, 255, 255))


def _detail(pixels: Pixels, width: int, height: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the busiest part that is enlarged to about `width` x `height`, at least twofold."""
    rows, columns = pixels.shape[:2]
    zoom = max(2, round(width / 190))
    return busiest(pixels, min(columns, width // zoom), min(rows, max(1, height // zoom)))


def busiest(pixels: Pixels, wide: int, high: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the part of `wide` x `high` pixels (at most the picture) that varies most."""
    gray = pixels.astype(np.float32).mean(axis=2)
    busy = np.zeros_like(gray)
    busy[:, 1:] += np.abs(np.diff(gray, axis=1))
    busy[1:] += np.abs(np.diff(gray, axis=0))
    total = np.pad(np.minimum(busy, CLIP), ((1, 0), (1, 0))).cumsum(0, dtype=np.float64).cumsum(1)
    sums = total[high:, wide:] - total[:-high, wide:] - total[high:, :-wide] + total[:-high, :-wide]
    top, left = np.unravel_index(int(np.argmax(sums)), sums.shape)
    return int(left), int(top), int(left) + wide, int(top) + high
