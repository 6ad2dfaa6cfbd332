"""A large frame is painted in strips: the pixels of the whole, by every decoder."""

from __future__ import annotations

import numpy as np
import pytest

from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.data import procedural
from tessera.models.base.family import GroupSpec
from tessera.models.spatiotemporal.family import SpatiotemporalFamily
from tessera.models.wavelet import still
from tessera.models.wavelet.family import WaveletFamily


@pytest.mark.parametrize("codec", ["wavelet", "spatiotemporal"])
@pytest.mark.parametrize("channels", [1, 3])
def test_strips_make_the_same_pixels(codec: str, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips of one row of cells and of many, the last one shorter, the last row of cells cut."""
    family = weights.load(codec)[0]
    assert isinstance(family, (WaveletFamily, SpatiotemporalFamily))
    frames = procedural.picture(459, 40)[None, ..., :channels]
    spec = GroupSpec(1, 459, 40, channels, 3000)
    port = EncoderPort(family.tables)
    family.encode(np.ascontiguousarray(frames), spec, port)
    data = port.finish()
    for decoder in family.decoders:
        whole = family.decode(spec, DecoderPort(family.tables, data), decoder)
        for cells in (5 * 13, 5 * 40, 1):
            monkeypatch.setattr(still, "LARGEST_AT_ONCE", 0)
            monkeypatch.setattr(still, "STRIP_CELLS", cells)
            strips = family.decode(spec, DecoderPort(family.tables, data), decoder)
            monkeypatch.undo()
            np.testing.assert_array_equal(strips, whole, strict=True)


@pytest.mark.parametrize("reach", ["TRANSFORM_REACH", "WINDOW_REACH"])
def test_less_overlap_shows(reach: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What strips overlap by is needed: with much less of it, other pixels come out."""
    family = weights.load("wavelet")[0]
    assert isinstance(family, WaveletFamily)
    frames, spec = procedural.picture(200, 64)[None], GroupSpec(1, 200, 64, 3, 3000)
    port = EncoderPort(family.tables)
    family.encode(frames, spec, port)
    data = port.finish()
    whole = family.decode(spec, DecoderPort(family.tables, data), family.decoders[0])
    monkeypatch.setattr(still, "LARGEST_AT_ONCE", 0)
    monkeypatch.setattr(still, "STRIP_CELLS", 8 * 12)
    monkeypatch.setattr(still, reach, -family.still.painters[family.decoders[0]].reach)
    assert (family.decode(spec, DecoderPort(family.tables, data), family.decoders[0]) != whole).any()
