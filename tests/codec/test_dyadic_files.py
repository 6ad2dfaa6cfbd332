"""Files whose frames on their own are dyadic pyramids, by the public interface: all that works for other weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import tessera
from tessera.codec.coding import weights
from tessera.codec.details import Details
from tessera.codec.files import info_file
from tessera.codec.media import Frame, MediaInfo, Source
from tessera.models.transform.bands import CELL

from ..golden.make_golden import parts_of
from ..support import drawn, small_dyadic

FRAMES, HEIGHT, WIDTH, GOP = 5, 37, 45, 2
Pixels = NDArray[np.uint8]


@pytest.fixture(autouse=True, scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small_dyadic.install(tmp_path_factory.mktemp("weights"), patch)
        yield


@pytest.fixture(scope="module")
def clip(small: None) -> bytes:
    frames = drawn.clip(FRAMES, HEIGHT, WIDTH, 3)
    return tessera.encode(frames, codec="spatiotemporal", quality=50, gop=GOP, digest=True, fps=10)


@pytest.fixture(scope="module")
def pixels(clip: bytes) -> Pixels:
    return tessera.decode(clip)


def damaged(data: bytes, group: int) -> bytes:
    """One bit of a group's symbols is flipped."""
    places = [at for at in range(len(data)) if data.startswith(b"GRUP", at)]
    out = bytearray(data)
    out[places[group] + 40] ^= 4
    return bytes(out)


def test_the_weights_are_those_of_pyramids(clip: bytes) -> None:
    with tessera.open(clip) as read:
        assert read.info.weights == weights.identify(small_dyadic.arrays()).hex()
        assert type(read.family.still).__name__ == "DyadicStill"  # type: ignore[attr-defined]


def test_random_access(clip: bytes, pixels: Pixels) -> None:
    """A part of the clip is that of the whole, by every decoder, and other groups are not read for it."""
    original = drawn.clip(FRAMES, HEIGHT, WIDTH, 3)
    assert np.square(pixels - original.astype(float)).mean() < 200
    with tessera.open(clip) as read:
        assert np.array_equal(read[3:5], pixels[3:5]) and np.array_equal(read[-1], pixels[-1])
    fast = tessera.decode(clip, decoder="fast")
    assert (fast != pixels).any() and np.array_equal(tessera.decode(clip, decoder="fast", frames=(1, 4)), fast[1:4])


def test_latents_and_bits(clip: bytes) -> None:
    """Parts of the latents are parts of the whole; the bits of cells are those of the file."""
    with tessera.open(clip) as read:
        whole = read.latents(bits_prior=True)
        spent = sum(group.bits for group in read.info.groups) / 8
        assert whole.x.shape == (FRAMES, -(-HEIGHT // CELL), -(-WIDTH // CELL), 128)
        assert whole.bits is not None and whole.bits_prior is not None
        assert abs(float(whole.bits.sum()) / 8 - spent) < 40 * len(read.info.groups)  # heads, checksums, digests
        assert float(whole.bits_prior.min()) >= 0
        later = read.latents(2, 5)
        assert later.bits is not None
        assert torch.equal(later.x, whole.x[2:5]) and torch.equal(later.bits, whole.bits[2:5])
        for channels in (3, 9, 60):
            assert torch.equal(read.latents(channels=channels).x, whole.x[..., :channels])


def test_units_of_latents() -> None:
    """Those of other weights: the low bands as if the transform were orthonormal."""
    data = tessera.encode(np.full((40, 56, 3), 200, np.uint8), codec="spatiotemporal", quality=95)
    with tessera.open(data) as read:
        x = read.latents().x.numpy()
    assert np.allclose(x[..., 0], CELL * 3**0.5 * (200 - 128), rtol=0.02)
    assert np.abs(x[..., 1:]).max() < 2


def test_tokens(clip: bytes) -> None:
    with tessera.open(clip) as read:
        tokens = read.tokens(0, 4, budget=6)
        assert tokens.x.shape[-1] == 128 and 0 < len(tokens.x) <= 6 * 4
        few = read.tokens(0, 4, budget=6, channels=20)
        assert few.x.shape[-1] == 20


def test_digests(clip: bytes, tmp_path: Path) -> None:
    report = tessera.verify(clip)
    assert report.ok and report.digests == report.groups == 3 and report.unchecked == 0
    (tmp_path / "clip.tsr").write_bytes(clip)
    groups = info_file(str(tmp_path / "clip.tsr"), digests=True).groups
    assert [len(group.frame_digests) for group in groups] == [2, 2, 1] and all(group.agrees for group in groups)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("group", [0, 1])
def test_a_damaged_group(clip: bytes, pixels: Pixels, group: int, tmp_path: Path) -> None:
    """It is named, the others decode, its frames are concealed, and the bit is set right."""
    data = damaged(clip, group)
    with pytest.raises(tessera.FormatError):
        tessera.decode(data)
    assert tessera.verify(data).bad_groups == [group]
    left = np.delete(pixels, slice(GOP * group, GOP * group + GOP), 0)
    assert np.array_equal(tessera.decode(data, partial=True), left)
    filled = tessera.decode(data, conceal=True)
    assert np.array_equal(np.delete(filled, slice(GOP * group, GOP * group + GOP), 0), left)
    assert np.square(filled - pixels.astype(float)).mean() < 2000
    tessera.repair(data, str(tmp_path / "sound.tsr"))
    assert (tmp_path / "sound.tsr").read_bytes() == clip


def test_metadata_of_animations() -> None:
    """The chunks show and info pass by."""
    details = Details(texts=(("title", "three"),))
    info = MediaInfo("video", 12, 9, 3, plays=3, last=7, details=details)
    frames = drawn.clip(2, 9, 12, 3)
    source = Source("moving", info, lambda start, stop: iter([Frame(f) for f in frames[start:stop]]), frame_count=2)
    data = tessera.encode(source, codec="spatiotemporal", quality=70)
    assert {"show", "info"} <= dict(parts_of(data)).keys()
    with tessera.open(data) as read:
        assert len(read) == 2
    assert tessera.decode(data).shape == frames.shape
