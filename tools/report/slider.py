"""The slider: one HTML section that lays two codecs' pictures over each other and enlarges a detail of both.

The pictures are inside the page, as AVIF of 4:4:4 that is within about 41 dB of what was decoded, more at low rates.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

from tessera.codec.media.types import Pixels
from tessera.tools.report.parts import document
from tessera.tools.report.sheet import busiest
from tessera.tools.report.slider_assets import SCRIPT, STYLE

AVIF_QUALITY = 90
_DETAIL = (112, 90)  # width and height of the part that is enlarged


@dataclass(frozen=True)
class Shot:
    """One codec's picture: its name, figures for the caption, and an AVIF file."""

    name: str
    figures: str
    avif: bytes


@dataclass(frozen=True)
class Scene:
    """One source at one size; `shots` holds the original first, all of `width` x `height` pixels.

    rate    what the menu calls the size
    focus   left and top of the detail that is enlarged at first
    """

    title: str
    rate: str
    width: int
    height: int
    focus: tuple[int, int]
    shots: Sequence[Shot]


def shot(name: str, figures: str, pixels: Pixels) -> Shot:
    """A shot of uint8 (H, W, 1 or 3) pixels."""
    from PIL import Image

    buffer = io.BytesIO()
    three = pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)
    Image.fromarray(three).save(buffer, "AVIF", quality=AVIF_QUALITY, speed=8, subsampling="4:4:4", max_threads=1)
    return Shot(name, figures, buffer.getvalue())


def focus(pixels: Pixels) -> tuple[int, int]:
    """Left and top of the part that shows most."""
    height, width = pixels.shape[:2]
    left, top, _, _ = busiest(pixels, min(width, _DETAIL[0]), min(height, _DETAIL[1]))
    return left, top


def section(scenes: Sequence[Scene]) -> str:
    """The slider's HTML with its pictures, style and script; needs a page around it."""
    title = html.escape(scenes[0].title)
    controls = "".join(
        f'<label>{label}<select id="{name}"></select></label>'
        for name, label in (("picture", "Picture"), ("rate", "Size"), ("left", "Left"), ("right", "Right"))
    )
    inside = "<canvas></canvas><figcaption><b></b><span></span></figcaption></figure>"
    details = "<figure class=first>" + inside + ("<figure>" + inside) * 2
    return (
        f'<style>{STYLE}</style><div class="slider"><div class="pick">{controls}</div>'
        f'<div class="stage"><img class="under" alt="{title}"><img class="over" alt="{title}">'
        '<div class="box"></div><span class="tag l"></span><span class="tag r"></span>'
        '<div class="line" role="slider" tabindex="0" aria-label="where the two pictures meet" aria-valuemin="0" '
        'aria-valuemax="100" aria-valuenow="50"></div></div>'
        '<p class="hint">Drag the line, or use the arrow keys. Click or tap the picture to enlarge another part. '
        "The page holds AVIF copies of what was decoded (about 41 dB or more); the figures are of the pictures.</p>"
        f'<div class="details">{details}</div></div>'
        f'<script type="application/json" id="scenes">{_data(scenes)}</script><script>{SCRIPT}</script>'
    )


def _data(scenes: Sequence[Scene]) -> str:
    """The scenes as JSON that may stand inside a script element."""
    plain = [
        {
            "title": scene.title,
            "rate": scene.rate,
            "width": scene.width,
            "height": scene.height,
            "focus": list(scene.focus),
            "shots": [
                {"name": one.name, "figures": one.figures,
                 "src": "data:image/avif;base64," + base64.b64encode(one.avif).decode("ascii")}
                for one in scene.shots
            ],
        }
        for scene in scenes
    ]  # fmt: skip
    return json.dumps(plain, ensure_ascii=False).replace("<", "\\u003c")


def page(title: str, lead: str, scenes: Sequence[Scene]) -> str:
    """The slider as a page of its own."""
    return document(title, f"<h1>{html.escape(title)}</h1><p class=lead>{html.escape(lead)}</p>{section(scenes)}")
