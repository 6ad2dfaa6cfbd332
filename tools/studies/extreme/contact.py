"""A contact sheet: the middle of a few pictures, the original beside decoded ones at nearly equal size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tessera.codec.media.types import Pixels
from tessera.tools.measuring import pictures
from tessera.tools.measuring.job import JobContext, subject
from tessera.tools.peers.peer import PicturePeer
from tessera.tools.report.sheet import BACKGROUND, FAINT, GAP, INK, MARGIN
from tessera.tools.studies.extreme.rows import PICTURES, ExtremeRow

COUNT = 6  # pictures
WIDTH, HEIGHT = 384, 288  # pixels of a crop
LINE = 44  # pixels of the caption below it


@dataclass(frozen=True)
class ContactRow:
    """One row: captions and figures with crops uint8 (h, w, 3)."""

    panels: list[tuple[str, str, Pixels]]


def scenes(
    context: JobContext, codecs: Sequence[str], paths: Sequence[Path], rows: Sequence[ExtremeRow], target: float
) -> list[ContactRow]:
    """Of pictures spread evenly over `paths`, as the codecs' rows at `target` bpp made them."""
    count = min(COUNT, len(paths))
    chosen = [paths[(2 * place + 1) * len(paths) // (2 * count)] for place in range(count)]
    found = {(row.codec, row.source): row for row in rows if row.kind == PICTURES and row.target == target}
    made = []
    for path in chosen:
        original = pictures.read(path)
        panels = [("original", path.stem, middle(original))]
        for name in codecs:
            row = found.get((name, path.name))
            if row is not None:
                codec: PicturePeer = subject(context, name)
                decoded = codec.decode(codec.encode(original, row.value))
                said = ", cannot go lower" if row.lacking else ""
                panels.append((name, f"{row.bpp:.4f} bpp, {row.bytes:,} bytes{said}", middle(decoded)))
        made.append(ContactRow(panels))
    return made


def middle(pixels: Pixels) -> Pixels:
    """The part of at most HEIGHT x WIDTH pixels in the middle."""
    top, left = max(0, pixels.shape[0] - HEIGHT) // 2, max(0, pixels.shape[1] - WIDTH) // 2
    return np.ascontiguousarray(pixels[top : top + HEIGHT, left : left + WIDTH])


def write(file: Path, rows: Sequence[ContactRow]) -> None:
    """Draw the rows under one another to a PNG file."""
    columns = max(len(row.panels) for row in rows)
    size = 2 * MARGIN + columns * (WIDTH + GAP) - GAP, 2 * MARGIN + len(rows) * (HEIGHT + LINE + GAP) - GAP
    sheet = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for down, row in enumerate(rows):
        top = MARGIN + down * (HEIGHT + LINE + GAP)
        for across, (name, figures, pixels) in enumerate(row.panels):
            left = MARGIN + across * (WIDTH + GAP)
            sheet.paste(Image.fromarray(pixels), (left, top))
            draw.text((left, top + HEIGHT + 3), name, INK, ImageFont.load_default(16))
            draw.text((left, top + HEIGHT + 23), figures, FAINT, ImageFont.load_default(14))
    sheet.save(file)
