"""Coarse latents from the first bytes of a group, the rest later; shortened streams beside the plain-Python coder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tessera
from tessera.codec.reading.prefix import preview
from tessera.data import procedural
from tessera.entropy import CorruptStream, Decoder, Encoder
from tessera.entropy.prefix import HEAD_BYTES, sections, shortened
from tessera.models.tokens import reduce

from ..support.media_samples import make_video, save
from ..support.toy_family import make_tables


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("prefix") / "clip.tsr"
    file.write_bytes(tessera.encode(procedural.clip(4, 96, 160), fps=25, gop=1))
    return file


@pytest.mark.parametrize("lanes", [1, 4, 64])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_a_shortened_stream_gives_the_first_symbols(lanes: int, share: float) -> None:
    tables, rng = make_tables(), np.random.default_rng(lanes)
    calls = [rng.integers(-300, 300, 400).astype(np.int32) for _ in range(12)]  # many leave their table
    indices = np.zeros(400, np.uint8)
    encoder = Encoder(tables, lanes=lanes)
    for symbols in calls:
        encoder.put(symbols, indices)
    data = encoder.finish()
    head, bypass = sections(data[:HEAD_BYTES])
    cut = head + int(share * (len(data) - head - bypass))
    decoder = Decoder(tables, shortened(data[:cut], data[len(data) - bypass :]))
    whole = 0
    with pytest.raises(CorruptStream, match="ends before"):
        for symbols in calls:
            assert np.array_equal(decoder.get(indices), symbols)
            whole += 1
    assert whole >= int(share * len(calls)) - 2


def test_damaged_heads_are_refused() -> None:
    with pytest.raises(CorruptStream, match="empty"):
        sections(b"")
    with pytest.raises(CorruptStream, match="inside its head"):
        sections(b"\x08\xff\xff")
    with pytest.raises(CorruptStream, match="inside its head"):
        shortened(b"\x06" + bytes(20), b"")
    with pytest.raises(CorruptStream, match="bypass"):
        shortened(b"\x08\x05" + bytes(20), b"abc")


@pytest.mark.parametrize("share", [0.001, 0.15, 0.6, 1.0])
def test_row_17_visionthink(path: Path, share: float) -> None:
    """A prefix gives coarse latents; upgrading reads the rest once and equals reading everything at once."""
    with tessera.open(path) as clip:
        full = clip.latents()
    with tessera.open(path) as clip:
        begun, size = clip.bytes_read, sum(entry.size for entry in clip.reader.entries)
        found = preview(clip, share=share)
        seen = clip.bytes_read - begun
        assert seen <= max(share * size, 4 * 300) and (seen < size or share == 1)
        assert found.grid.x.shape == full.x.shape
        small = reduce(found.grid, "pool", (4, 6, 10))
        assert len(small) == len(full.x.flatten(0, 2)) // 4
        assert torch.equal(found.upgrade().x, full.x)
        assert clip.bytes_read - begun == size, "nothing is read twice"


def test_heads_longer_than_the_first_read(tmp_path: Path) -> None:
    """Times of their own stand in the head of a group of few bytes."""
    video = make_video(np.repeat(procedural.picture(16, 16)[None], 40, 0), "matroska", vary=True)
    data = tessera.encode(save(tmp_path, "vary.mkv", video), codec="spatiotemporal", gop=40, quality=10)
    with tessera.open(data) as clip:
        full = clip.latents()
        assert len(clip.reader.entries) == 1 and len(set(np.diff(clip.times()).round(6))) > 1
    with tessera.open(data) as clip:
        found = preview(clip, share=0.01)
        assert torch.equal(found.grid.times, full.times) and torch.equal(found.upgrade().x, full.x)


def test_the_more_is_read_the_less_is_missing(path: Path) -> None:
    with tessera.open(path) as clip:
        full = clip.latents()
        errors = [float((preview(clip, share=s).grid.x - full.x).square().sum()) for s in (0.05, 0.2, 0.5, 1.0)]
        assert sorted(errors, reverse=True) == errors and errors[-1] == 0
        coarse = preview(clip, share=0.25).grid
    lacking, there = (x[..., :3].square().sum() for x in (coarse.x - full.x, full.x))
    assert lacking < 0.001 * there, "the low bands come first; in dyadic frames what follows rounds them"
    assert coarse.bits is not None and full.bits is not None and coarse.bits.sum() < 1.2 * full.bits.sum()


def test_what_has_no_prefix_is_refused(path: Path) -> None:
    pixels = np.dstack([procedural.picture(16, 16), np.arange(256, dtype=np.uint8).reshape(16, 16)])
    with tessera.open(tessera.encode(pixels)) as clip, pytest.raises(tessera.ParameterError, match="alpha"):
        preview(clip)
    with tessera.open(path) as clip:
        with pytest.raises(tessera.ParameterError, match="the file has 4"):
            preview(clip, 2, 9)
        with pytest.raises(tessera.ParameterError, match="share"):
            preview(clip, share=0.0)


def test_damage_is_named(path: Path) -> None:
    data = bytearray(path.read_bytes())
    with tessera.open(bytes(data)) as clip:
        offset, size = clip.reader.entries[2].offset, clip.reader.entries[2].size
    assert offset is not None
    data[offset + size // 2] ^= 255
    with tessera.open(bytes(data)) as clip:
        found = preview(clip, share=0.1)  # the damage lies beyond
        with pytest.raises(tessera.FormatError, match="group 2"):
            found.upgrade()
