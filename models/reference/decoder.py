"""The second decoder: the bytes of a group and a weights file to frames, as FORMAT.md says.

It is written to be read, not to be fast: a 64 x 64 picture takes seconds.  Only the check of the CDF tables is
compiled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..base.family import GroupSpec
from .clip import decode_clip
from .lifting import exact_pixels
from .still import paint_still
from .symbols import Arrays, Symbols
from .walk import Walk

# what names of CDF tables begin with; not every weights file has tables of signs
OWNERS = {"wavelet": ("tables",), "spatiotemporal": ("tables", "motion", "signs", "odd")}


def decode(codec: str, arrays: Arrays, spec: GroupSpec, data: bytes, decoder: str) -> NDArray[np.uint8]:
    """Frames (T, H, W, channels) of a group: `data` is its coder's bytes, `arrays` hold the weights file.

    ValueError or CorruptStream for bytes that are no such group.
    """
    symbols = Symbols(arrays, [owner for owner in OWNERS[codec] if f"{owner}.sizes" in arrays], data)
    decoded = {"wavelet": decode_stills, "spatiotemporal": decode_clip}[codec]
    frames = decoded(arrays, spec, symbols, decoder)
    symbols.finish()
    return frames


def decode_stills(arrays: Arrays, spec: GroupSpec, symbols: Symbols, decoder: str) -> NDArray[np.uint8]:
    frames = np.empty((spec.frames, spec.height, spec.width, spec.channels), np.uint8)
    walk = Walk(arrays, "prior", 0, spec.channels, spec.quality, symbols)
    for frame in frames:
        walked = walk.read(-(-spec.height // 8), -(-spec.width // 8))
        planes = paint_still(arrays, decoder, spec.quality, walked)
        frame[...] = exact_pixels(planes, spec.height, spec.width, spec.channels)
    return frames
