"""What a learned prior saves: the same integer latents through our prior and coder, and as lossless pictures.

WaLLoC stores its latents as PNG or lossless WebP.  Here the integers that a file holds are laid out as 8-bit pictures
in two ways, all bands of a level side by side in gray and three bands at a time as RGB, and the smaller one counts;
values outside -128..127 put their high bytes into a second picture.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Planes = npt.NDArray[np.int32]  # (bands, h, w)
Bytes = npt.NDArray[np.uint8]

FORMATS: dict[str, dict[str, Any]] = {
    "WEBP": {"lossless": True, "quality": 100, "method": 6},
    "PNG": {"optimize": True},
}


def measure(paths: Sequence[str | Path], qualities: Sequence[float] = (10, 30, 50, 70)) -> dict[str, Any]:
    """Bytes per quality, summed over the pictures: ours, WebP and PNG, and how many times larger these are."""
    from tessera.codec.media import open_source

    pictures = []
    for path in paths:
        with open_source(str(path)) as source:
            pictures.append(next(iter(source.frames())).pixels)
    rows = {f"{quality:g}": _at_quality(pictures, quality) for quality in qualities}
    return {"pictures": len(pictures), "quality": rows}


def _at_quality(pictures: Sequence[Bytes], quality: float) -> dict[str, float]:
    ours, others = 0, dict.fromkeys(FORMATS, 0)
    for picture in pictures:
        data, levels = _code(picture, quality)
        ours += len(data)
        for kind in FORMATS:
            others[kind] += sum(_lossless(planes, kind) for planes in levels)
    ratios = {f"{kind.lower()}_over_ours": size / ours for kind, size in others.items()}
    return {"tessera": ours, **{kind.lower(): size for kind, size in others.items()}, **ratios}


def _code(picture: Bytes, quality: float) -> tuple[bytes, list[Planes]]:
    """The coder's bytes of one picture, and the integers that they decode to, one array per level."""
    from tessera.codec.coding import weights
    from tessera.codec.coding.ports import DecoderPort, EncoderPort
    from tessera.models.base.family import GroupSpec
    from tessera.models.base.quality import fine
    from tessera.models.wavelet.family import WaveletFamily

    family, _ = weights.load("wavelet")
    assert isinstance(family, WaveletFamily)
    height, width, channels = picture.shape
    spec = GroupSpec(1, height, width, channels, fine(quality))
    port = EncoderPort(family.tables)
    family.encode(picture[None], spec, port)
    data = port.finish()
    integers = family.integers(spec, DecoderPort(family.tables, data))
    return data, integers


def _lossless(planes: Planes, kind: str) -> int:
    """Bytes of the integers as lossless pictures, by the better of the two layouts."""
    parts = [_centred(planes & 255)]
    if planes.min() < -128 or planes.max() > 127:
        parts.append(_centred((planes >> 8) & 255))
    return sum(min(_picture_bytes(image, kind) for image in (_side_by_side(part), _triples(part))) for part in parts)


def _centred(values: Planes) -> Bytes:
    """Bytes with 0 moved to mid-gray, so that small values of both signs are neighbours."""
    return np.asarray(values ^ 128, np.uint8)


def _side_by_side(part: Bytes) -> Bytes:
    """Bands in a grid, one gray picture."""
    bands, h, w = part.shape
    across = int(np.ceil(np.sqrt(bands)))
    padded = np.concatenate([part, np.full((-bands % across, h, w), 128, np.uint8)])
    grid = padded.reshape(-1, across, h, w).transpose(0, 2, 1, 3)
    return np.asarray(grid.reshape(-1, across * w))


def _triples(part: Bytes) -> Bytes:
    """Every three neighbouring bands as the channels of one RGB picture, these in a grid."""
    padded = np.concatenate([part, np.full((-len(part) % 3, *part.shape[1:]), 128, np.uint8)])
    return np.stack([_side_by_side(padded[c::3]) for c in range(3)], axis=2)


def _picture_bytes(image: Bytes, kind: str) -> int:
    from PIL import Image

    blob = io.BytesIO()
    Image.fromarray(image).save(blob, kind, **FORMATS[kind])
    return blob.tell()
