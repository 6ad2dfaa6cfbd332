"""A damaged beginning, missing ends, flipped bits: read by the copy of HEAD, filled in, rebuilt."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tessera
from tessera.codec.format.chunks import COPY, SIGNATURE, Chunk, chunk_bytes
from tessera.codec.format.correct import corrected
from tessera.codec.format.pipe import PipeReader
from tessera.codec.format.seekable import FileReader
from tessera.codec.limits import DEFAULT_LIMITS
from tessera.codec.reading import repair
from tessera.tools.cli import main

from ..golden.make_golden import encode, join, parts_of, pixels, uneven
from ..support import toy_family

FRAMES = 10


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    toy_family.install(monkeypatch)


def clip(**options: object) -> bytes:
    return encode(pixels(FRAMES, 9, 11, 3), **{"gop": 3, "quality": 40, **options})


def flipped(data: bytes, *bits: int) -> bytes:
    out = bytearray(data)
    for bit in bits:
        out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def place(data: bytes, kind: str, number: int = 0) -> int:
    """Where the payload of a chunk begins."""
    at = -1
    for _ in range(number + 1):
        at = data.index(kind.encode(), at + 1)
    return at + 5


def repaired(data: bytes, tmp_path: Path) -> tuple[bytes, tessera.RepairReport]:
    report = tessera.repair(data, str(tmp_path / "out.tsr"), force=True)
    return (tmp_path / "out.tsr").read_bytes(), report


# -- the copy of HEAD --------------------------------------------------------------------------------------------------


def test_clips_of_several_groups_have_a_copy() -> None:
    parts = parts_of(clip())
    assert parts[-2] == (COPY, parts[0][1])
    assert COPY not in dict(parts_of(clip(gop=FRAMES)))


@pytest.mark.parametrize("index", [True, False])
def test_no_bit_of_the_beginning_is_a_single_point_of_failure(index: bool) -> None:
    """Every bit of signature and HEAD: all frames come back, and the damage is told."""
    data = (
        clip()
        if index
        else join([part for part in parts_of(clip())[:-3]] + [*parts_of(clip())[-2:-1], ("TEND", bytes(8))])
    )
    whole, end = tessera.decode(data), data.index(b"GRUP")
    assert end > 40
    for bit in range(0, 8 * end, 1 if index else 11):
        damaged = flipped(data, bit)
        with pytest.raises(tessera.CodecError):
            tessera.decode(damaged)
        assert np.array_equal(tessera.decode(damaged, partial=True), whole), bit
    assert "its copy at the end" in tessera.verify(flipped(data, 200)).problems[0]


def test_metadata_behind_a_damaged_beginning() -> None:
    data = clip()
    parts = parts_of(data)
    import zlib

    described = join(
        [parts[0], ("exif", zlib.compress(b"II*\0 description")), *parts[1:-3], parts[-2], ("TEND", bytes(8))]
    )
    reader = FileReader(io.BytesIO(flipped(described, 200)))
    assert reader.metadata().exif == b"II*\0 description"
    assert reader.frames == FRAMES


@pytest.mark.parametrize("reader", [FileReader, PipeReader])
def test_a_copy_that_differs_is_damage(reader: Callable[[io.BytesIO], FileReader | PipeReader]) -> None:
    parts = parts_of(clip())
    other = parts_of(clip(quality=41))[0][1]
    opened = reader(io.BytesIO(join([*parts[:-2], (COPY, other), parts[-1]])))
    assert len(list(opened.groups())) == 4
    assert any("says something else than HEAD" in line for line in opened.problems)


# -- what is missing at the end ----------------------------------------------------------------------------------------


def test_the_missing_tail_is_named_and_filled_in() -> None:
    data = clip()
    cut = data[: place(data, "GRUP", 2)]
    report = tessera.verify(cut)
    assert report.truncated and "frames 6..9 are missing: the file announces 10" in report.problems
    whole = tessera.decode(data)
    filled = tessera.decode(cut, conceal=True)
    assert len(filled) == FRAMES and np.array_equal(filled[:6], whole[:6])
    assert (filled[6:] == whole[5]).all()
    assert len(tessera.decode(cut, partial=True)) == 6
    assert len(tessera.decode(cut, conceal=True, frames=(2, 8))) == 6


def test_the_missing_tail_of_a_pipe() -> None:
    from tessera.codec.coding.stream import decode_groups

    data = clip()
    reader = PipeReader(io.BytesIO(data[: place(data, "GRUP", 2)]))
    warnings: list[str] = []
    groups = list(decode_groups(reader, tessera.DecodeOptions(conceal=True), warnings))
    assert sum(len(group.times) for group in groups) == FRAMES
    assert any("6..9 are missing" in line for line in warnings) and any("filled in" in line for line in warnings)


def test_nothing_is_missing_of_a_sound_file() -> None:
    parts = parts_of(clip())
    from ..golden.make_golden import forge_header

    announced = forge_header(join([*parts[:-3], ("TEND", bytes(8))]), announced=99)
    assert tessera.verify(announced).ok and len(tessera.decode(announced, conceal=True)) == FRAMES


# -- flipped bits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 31, 130, 700])
def test_a_flipped_bit_is_found_wherever_it_is(size: int) -> None:
    chance = random.Random(size)
    payload = chance.randbytes(size)
    stored = chunk_bytes("GRUP", payload)[-4:]

    def damaged(*bits: int) -> Chunk:
        return Chunk("GRUP", 0, size, size + 9, flipped(payload, *bits), False)

    for bit in range(0, 8 * size, 1 + size // 40):
        assert corrected(damaged(bit), stored) == payload
    assert corrected(damaged(), flipped(stored, 9)) == payload
    assert corrected(damaged(0, 5), stored) is None


@pytest.mark.parametrize("kind", ["still", "clip"])
def test_every_flipped_bit_is_set_right(kind: str, tmp_path: Path) -> None:
    data = clip(quality=10) if kind == "clip" else encode(pixels(8, 8, 3), quality=10)
    step = 5 if kind == "still" else 63  # places within a byte take turns
    for bit in range(64, 8 * len(data), step):
        out, report = repaired(flipped(data, bit), tmp_path)
        assert out == data and report.ok and not report.lost, bit
        assert report.problems and len(report.corrected) == 1


# -- rebuilding --------------------------------------------------------------------------------------------------------


def test_tries_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of many damaged chunks would be tried 48 times, and read far beyond its end where a flip makes it long."""
    monkeypatch.setattr(repair, "_LEAST", 1 << 20)
    tried, whole = [], repair.FileBytes._chunk

    def counting(self: repair.FileBytes, at: int) -> Chunk | None:
        tried.append(at)
        return whole(self, at)

    monkeypatch.setattr(repair.FileBytes, "_chunk", counting)
    false = b"note" + bytes([0, 0x80, 0x80, 1, 0])  # empty; with one bit of its length flipped, of 16 KB
    raw = repair.FileBytes(SIGNATURE + 4000 * false, DEFAULT_LIMITS)
    assert list(raw.correct()) == []
    assert set(tried) == set(range(8, len(raw.data), 9))
    assert 4000 < len(tried) < 4200


def test_a_lost_group_is_left_out_and_named(tmp_path: Path) -> None:
    data, whole = clip(digest=True), tessera.decode(clip())
    at = 8 * place(data, "GRUP", 1) + 80
    out, report = repaired(flipped(data, at, at + 9), tmp_path)
    assert report.ok and report.frames == FRAMES - 3
    assert [line for line in report.lost if line.startswith("frames 3..5 are lost")]
    assert np.array_equal(tessera.decode(out), np.concatenate([whole[:3], whole[6:]]))
    with tessera.open(data) as before, tessera.open(out) as after:
        times = before.times()
        assert np.array_equal(after.times(), np.concatenate([times[:3], times[6:]]))
        assert after.info.indexed
    assert tessera.verify(out).digests == 3


def test_the_first_group_is_lost(tmp_path: Path) -> None:
    data = encode(uneven(), gop=2)
    at = 8 * place(data, "GRUP") + 80
    out, report = repaired(flipped(data, at, at + 9), tmp_path)
    with tessera.open(data) as before, tessera.open(out) as after:
        assert np.array_equal(after.times(), before.times()[2:])
    assert report.ok and report.frames == 4


@pytest.mark.parametrize("alpha", [False, True])
def test_a_cut_file_is_ended(alpha: bool, tmp_path: Path) -> None:
    data = encode(pixels(FRAMES, 9, 10, 4 if alpha else 3), gop=3)
    whole = tessera.decode(data)
    out, report = repaired(data[: place(data, "GRUP", 3)], tmp_path)
    assert report.ok and np.array_equal(tessera.decode(out), whole[:9])
    assert report.lost == ["frames 9..9 are missing: the file announces 10"]


def test_damaged_metadata_is_left_out(tmp_path: Path) -> None:
    parts = parts_of(clip())
    data = join([parts[0], ("exif", b"no zlib stream"), *parts[1:-3], ("TEND", bytes(8))])
    out, report = repaired(data, tmp_path)
    assert report.ok and len(report.lost) == 1 and "exif" in report.lost[0]
    assert np.array_equal(tessera.decode(out), tessera.decode(clip()))


def test_a_sound_file_stays_as_it_is(tmp_path: Path) -> None:
    for data in (clip(digest=True), encode(uneven(), gop=4), encode(pixels(7, 9, 4))):
        out, report = repaired(data, tmp_path)
        assert out == data and report == tessera.RepairReport(True, report.frames)


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    data = encode(pixels(8, 8, 3))
    with pytest.raises(tessera.FormatError):
        tessera.repair(data[:-5], str(tmp_path / "out.tsr"))
    assert not (tmp_path / "out.tsr").exists()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = clip()
    (tmp_path / "in.tsr").write_bytes(data[: place(data, "GRUP", 2)])
    assert main(["repair", str(tmp_path / "in.tsr"), str(tmp_path / "out.tsr")]) == 0
    shown = capsys.readouterr().out
    assert "sound, 6 frames" in shown and "lost: frames 6..9 are missing" in shown
    assert main(["verify", str(tmp_path / "out.tsr")]) == 0
    assert main(["repair", str(tmp_path / "in.tsr"), str(tmp_path / "out.tsr")]) == 2
    assert main(["repair", str(tmp_path / "in.tsr"), str(tmp_path / "out.tsr"), "--force", "--json"]) == 0


# -- times -------------------------------------------------------------------------------------------------------------


def with_times(*times: list[int]) -> bytes:
    """A clip with groups of two frames at these ticks, whatever they are."""
    from tessera.codec.format.header import GroupHead, read_group, read_header, write_group

    parts = parts_of(encode(pixels(2 * len(times), 8, 8, 3), gop=2, quality=30))
    head = read_header(parts[0][1], tessera.Limits())
    groups = [read_group(payload, head) for kind, payload in parts if kind == "GRUP"]
    kept = [
        ("GRUP", write_group(GroupHead(2 * k, 2, group.quality, given), head) + bytes(symbols))
        for k, ((group, symbols), given) in enumerate(zip(groups, times, strict=True))
    ]
    return join([parts[0], *kept, ("TEND", bytes(8))])


@pytest.mark.parametrize("second", [[0, 1], [4, 9], [5, 7]])
def test_times_that_run_backwards_between_groups(second: list[int], tmp_path: Path) -> None:
    data = with_times([2, 5], second, [20, 21])
    with pytest.raises(tessera.FormatError, match="group 1: frame 2 does not show after the one before"):
        tessera.decode(data)
    report = tessera.verify(data)
    assert not report.ok and any("does not show after" in line for line in report.problems)
    out, fixed = repaired(data, tmp_path)
    assert fixed.ok and fixed.frames == 6 and any("run backwards" in line for line in fixed.lost)
    with tessera.open(out) as clip:
        assert (np.diff(clip.times()) > 0).all()
    assert tessera.verify(with_times([2, 5], [6, 7], [20, 21])).ok


def test_ticks_fit_64_bits() -> None:
    """The slowest rate in the finest time base: the third frame would show beyond them."""
    from fractions import Fraction

    from tessera.codec.format.header import read_header, write_header

    parts = parts_of(encode(pixels(3, 8, 8, 3), gop=3))
    head = read_header(parts[0][1], tessera.Limits())
    head.rate = head.time_base = Fraction(1, (1 << 31) - 1)
    data = join([("HEAD", write_header(head)), *parts[1:]])
    with pytest.raises(tessera.FormatError, match="tick"):
        tessera.decode(data)
    assert not tessera.verify(data).ok
