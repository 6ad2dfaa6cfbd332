"""Audio packets: the same bytes, time stamps and durations through every container that can hold them."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import pytest

from tessera.codec.errors import FormatError, ParameterError
from tessera.codec.media import Source, cut_audio, open_source, write_media
from tessera.codec.media.audio import Times, audio_packets

from ...support.media_samples import clip, make_video

Packet = tuple[bytes, int, int, Fraction]


def packets(data: bytes) -> list[Packet]:
    """Bytes, pts, duration and time base of every audio packet, read by PyAV alone."""
    with av.open(io.BytesIO(data), "r") as container:
        found = [packet for packet in container.demux(audio=0) if packet.size]
        return [(bytes(p), p.pts or 0, p.duration or 0, p.time_base or Fraction(1)) for p in found]


def through(source: Source, suffix: str, **options: Any) -> bytes:
    file = io.BytesIO()
    write_media(file, suffix, source.media, source.frames(), **options)
    return file.getvalue()


CASES = [("aac", "mp4"), ("aac", "mov"), ("libmp3lame", "mp4"), ("ac3", "mp4"), ("alac", "mov"), ("libopus", "mp4")]


@pytest.mark.parametrize("codec,suffix", CASES)
def test_packets_are_untouched_through_mp4(codec: str, suffix: str) -> None:
    data = make_video(clip(25, 32, 32), suffix, audio=codec)
    before = packets(data)
    source = open_source(io.BytesIO(data))
    assert source.audio is not None and not source.warnings
    after = packets(through(source, suffix))
    assert len(before) > 10 and after == before


@pytest.mark.parametrize("codec", ["aac", "flac", "pcm_s16le", "libopus"])
def test_packets_are_untouched_through_matroska(codec: str) -> None:
    data = make_video(clip(25, 32, 32), "matroska", audio=codec)
    source = open_source(io.BytesIO(data))
    assert packets(through(source, "mkv")) == packets(data)


def test_the_carried_file_is_ordinary_matroska() -> None:
    data = make_video(clip(25, 32, 32), audio="aac")
    audio = open_source(io.BytesIO(data)).audio
    assert audio is not None
    assert [packet[0] for packet in packets(audio)] == [packet[0] for packet in packets(data)]
    with av.open(io.BytesIO(audio), "r") as container:
        assert container.format.name.startswith("matroska") and not container.streams.video
        samples = [frame.samples for frame in container.decode(audio=0)]
        assert sum(samples) > 40000
    assert [p[1] for p in audio_packets(audio)] == [p[1] * p[3] for p in packets(data)]


def test_sound_and_picture_stay_together_when_lossless_and_in_other_containers() -> None:
    data = make_video(clip(25, 32, 32), audio="aac")
    source = open_source(io.BytesIO(data))
    for suffix, tolerance in (("mov", Fraction(0)), ("mkv", Fraction(1, 1000))):
        out = through(source, suffix, lossless=True)
        for a, b in zip(packets(data), packets(out), strict=True):
            assert a[0] == b[0] and abs(a[1] * a[3] - b[1] * b[3]) <= tolerance
        assert [f.pts * open_source(io.BytesIO(out)).time_base for f in open_source(io.BytesIO(out)).frames()][0] == 0


def test_a_container_that_cannot_hold_the_codec_is_named() -> None:
    source = open_source(io.BytesIO(make_video(clip(5, 32, 32), audio="aac")))
    with pytest.raises(ParameterError, match="webm cannot hold aac"):
        through(source, "webm")


def test_silent_clips_and_changed_rates_have_no_audio() -> None:
    assert open_source(io.BytesIO(make_video(clip(3, 32, 32)))).audio is None
    source = open_source(io.BytesIO(make_video(clip(5, 32, 32), audio="aac")), fps=Fraction(5))
    assert source.audio is None and "audio" in source.warnings[0]


def test_a_part_of_the_sound_is_cut_at_packets() -> None:
    data = make_video(clip(25, 32, 32), audio="aac")
    audio = open_source(io.BytesIO(data)).audio
    assert audio is not None
    every = audio_packets(audio)
    part = cut_audio(audio, Fraction(2, 5), Fraction(4, 5))
    assert part is not None
    expected = [p for p in every if p[1] + p[2] > Fraction(2, 5) and p[1] < Fraction(4, 5)]
    assert [p[0] for p in audio_packets(part)] == [p[0] for p in expected] and 16 < len(expected) < 20
    moved = [p[1] + Fraction(round(Fraction(2, 5) * 44100), 44100) for p in audio_packets(part)]
    assert moved == [p[1] for p in expected]
    assert cut_audio(audio, Fraction(100), None) is None


def test_damaged_audio_is_refused() -> None:
    source = open_source(io.BytesIO(make_video(clip(5, 32, 32), audio="aac")))
    with pytest.raises(FormatError, match="no Matroska"):
        write_media(io.BytesIO(), "mp4", replace(source.media, audio=b"nonsense" * 20), source.frames())


def test_times_are_runs() -> None:
    times = Times(Fraction(1, 44100), [-1024, 0, 1024, 2048, 5000], [1024, 1024, 1024, 1024, 512])
    text = times.format()
    assert text == "1/44100 -1024 1024:1024*3 2952:1024*1 0:512*1"
    assert Times.parse(text, 5) == times
    for bad in ("", "1/0 3", "1/44100 x", text.replace("*3", "*4")):
        with pytest.raises(ValueError):
            Times.parse(bad, 5)
