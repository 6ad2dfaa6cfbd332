"""A large frame is painted in strips: the pixels of the whole, by every decoder."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.data import procedural
from tessera.models.base.family import GroupSpec
from tessera.models.spatiotemporal.family import SpatiotemporalFamily
from tessera.models.wavelet import base_still, dyadic_still
from tessera.models.wavelet.family import WaveletFamily

from ...support import small_dyadic

Coder = WaveletFamily | SpatiotemporalFamily
DYADIC = "dyadic frames"


def family_of(name: str) -> Coder:
    family = small_dyadic.family() if name == DYADIC else weights.load(name)[0]
    assert isinstance(family, Coder)
    return family


def encoded(family: Coder, spec: GroupSpec) -> bytes:
    port = EncoderPort(family.tables)
    picture = procedural.picture(spec.height, spec.width)[None, ..., : spec.channels]
    family.encode(np.ascontiguousarray(picture), spec, port)
    return port.finish()


def decoded(family: Coder, spec: GroupSpec, data: bytes, decoder: str) -> NDArray[np.uint8]:
    return family.decode(spec, DecoderPort(family.tables, data), decoder)


@pytest.mark.parametrize("codec", ["wavelet", DYADIC])
@pytest.mark.parametrize("channels", [1, 3])
def test_strips_make_the_same_pixels(codec: str, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips of one row of cells and of many, the last one shorter, the last row of cells cut."""
    family, spec = family_of(codec), GroupSpec(1, 459, 40, channels, 3000)
    data = encoded(family, spec)
    for decoder in family.decoders:
        whole = decoded(family, spec, data, decoder)
        for cells in (5 * 13, 5 * 40, 1):
            monkeypatch.setattr(base_still, "LARGEST_AT_ONCE", 0)
            monkeypatch.setattr(base_still, "STRIP_CELLS", cells)
            strips = decoded(family, spec, data, decoder)
            monkeypatch.undo()
            np.testing.assert_array_equal(strips, whole, strict=True)


@pytest.mark.parametrize(
    ("codec", "reach"), [("wavelet", "TRANSFORM_REACH"), ("wavelet", "WINDOW_REACH"), (DYADIC, "TRANSFORM_REACH")]
)
def test_less_overlap_shows(codec: str, reach: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What strips overlap by is needed: with much less of it, other pixels come out."""
    family, spec = family_of(codec), GroupSpec(1, 200, 64, 3, 3000)
    data, decoder = encoded(family, spec), family.decoders[0]
    whole = decoded(family, spec, data, decoder)
    monkeypatch.setattr(base_still, "LARGEST_AT_ONCE", 0)
    monkeypatch.setattr(base_still, "STRIP_CELLS", 8 * 12)
    monkeypatch.setattr(base_still, reach, -family.still.painters[decoder].reach)
    assert (decoded(family, spec, data, decoder) != whole).any()


def test_bands_of_pyramids_need_rows_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network of a dyadic frame reads bands of planes, whose filters reach beyond the strip, too."""
    family, spec = small_dyadic.family(), GroupSpec(1, 200, 64, 3, 3000)
    data = encoded(family, spec)
    whole = decoded(family, spec, data, "standard")
    monkeypatch.setattr(base_still, "LARGEST_AT_ONCE", 0)
    monkeypatch.setattr(base_still, "STRIP_CELLS", 8 * 12)
    monkeypatch.setattr(dyadic_still, "TRANSFORM_REACH", -base_still.WINDOW_REACH)
    assert (decoded(family, spec, data, "standard") != whole).any()
