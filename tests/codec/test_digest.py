"""Digests of pixels: written on demand, compared by `verify`, skipped by readers that do not know them."""

from __future__ import annotations

import io

import numpy as np
import pytest

import tessera
from tessera.codec.files import info_file
from tessera.codec.format.chunks import DIGEST
from tessera.codec.format.pipe import PipeReader
from tessera.codec.format.seekable import FileReader

from ..golden.make_golden import encode, forge_header, join, parts_of, pixels
from ..support import toy_family

SHAPES = {"still": (12, 17, 3), "gray": (9, 8), "alpha": (12, 17, 4), "clip": (7, 9, 11, 3), "clip-alpha": (5, 9, 8, 4)}


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    toy_family.install(monkeypatch)


def coded(kind: str, **options: object) -> bytes:
    gop = 3 if kind.startswith("clip") else None
    return encode(pixels(*SHAPES[kind]), quality=40, gop=gop, **{"digest": True, **options})


def other_digests(data: bytes, number: int) -> bytes:
    """The file with another digest of one group, and sound checksums."""
    parts = parts_of(data)
    places = [place for place, (kind, _) in enumerate(parts) if kind == DIGEST]
    parts[places[number]] = DIGEST, bytes(8)
    return join(parts)


@pytest.mark.parametrize("kind", SHAPES)
def test_verify_compares_every_group(kind: str) -> None:
    data, plain = coded(kind), coded(kind, digest=False)
    report = tessera.verify(data)
    groups = -(-SHAPES[kind][0] // 3) if kind.startswith("clip") else 1
    assert report.ok and report.digests == report.groups == groups and report.unchecked == 0
    assert tessera.verify(plain).ok and tessera.verify(plain).digests == 0
    assert abs(len(data) - len(plain) - 17 * groups) <= 2 * groups  # and lengths in the index
    assert np.array_equal(tessera.decode(data), tessera.decode(plain))


@pytest.mark.parametrize(("kind", "number"), [("still", 0), ("alpha", 0), ("clip", 1), ("clip-alpha", 0)])
def test_verify_names_the_group_that_differs(kind: str, number: int) -> None:
    data = other_digests(coded(kind), number)
    report = tessera.verify(data)
    assert not report.ok and report.bad_groups == [number] and len(report.problems) == 1
    assert f"group {number}: decodes to other pixels" in report.problems[0]
    assert np.array_equal(tessera.decode(data), tessera.decode(coded(kind)))


def test_the_digest_is_that_of_the_decoded_pixels() -> None:
    import hashlib

    data = coded("clip")
    frames = tessera.decode(data)
    found = [group.digest for group in FileReader(io.BytesIO(data)).groups()]
    assert found == [hashlib.sha256(frames[k : k + 3].tobytes()).digest()[:8] for k in (0, 3, 6)]
    fast = coded("still", decoder="fast")
    (group,) = PipeReader(io.BytesIO(fast)).groups()
    assert group.digest == hashlib.sha256(tessera.decode(fast).tobytes()).digest()[:8]
    assert group.digest != hashlib.sha256(tessera.decode(fast, decoder="standard").tobytes()).digest()[:8]


def test_a_file_without_index_keeps_its_digests() -> None:
    parts = [part for part in parts_of(coded("clip")) if part[0] != "INDX"]
    report = tessera.verify(join([*parts[:-1], ("TEND", bytes(8))]))
    assert report.ok and report.digests == report.groups == 3


def test_readers_that_do_not_know_the_chunk_skip_it() -> None:
    for kind in SHAPES:
        data = coded(kind)
        renamed = join([("dgsu" if name == DIGEST else name, payload) for name, payload in parts_of(data)])
        assert len(renamed) == len(data)
        report = tessera.verify(renamed)
        assert report.ok and report.digests == 0
        with tessera.open(renamed) as clip:
            assert clip.info.indexed == (kind.startswith("clip"))


def test_a_decoder_that_is_not_here_is_not_compared() -> None:
    data = other_digests(coded("still"), 0)
    report = tessera.verify(forge_header(data, decoder=3))
    assert report.ok and (report.digests, report.unchecked) == (0, 1)


def test_a_family_without_exact_pixels_keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy_family.ToyFamily, "exact", False)
    with pytest.raises(tessera.ParameterError, match="keeps no digest"):
        coded("still")


def test_a_size_target_counts_digests() -> None:
    data = encode(pixels(24, 31, 33, 3), quality=None, gop=3, digest=True, size=30_000)
    assert len(data) <= 30_000 and tessera.verify(data).digests == 8


def test_info_shows_the_digests_of_the_file_and_of_every_frame(tmp_path: object) -> None:
    path = f"{tmp_path}/clip.tsr"
    data = other_digests(coded("clip"), 2)
    with open(path, "wb") as file:
        file.write(data)
    info = info_file(path)
    assert [len(group.digest or "") for group in info.groups] == [16, 16, 16]
    assert [group.agrees for group in info.groups] == [None, None, None]
    assert info.bits["digest"] == 3 * 17 * 8 and sum(info.bits.values()) == 8 * len(data)
    info = info_file(path, digests=True)
    assert [group.agrees for group in info.groups] == [True, True, False]
    assert [len(group.frame_digests) for group in info.groups] == [3, 3, 1]
    assert len({digest for group in info.groups for digest in group.frame_digests}) == 7
