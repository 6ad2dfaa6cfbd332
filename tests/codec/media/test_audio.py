"""Audio packets: the same bytes, time stamps and durations through every container that can hold them."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
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


def samples(data: bytes) -> Any:
    """Every sample of the first audio stream as floats, (channels, n)."""
    with av.open(io.BytesIO(data), "r") as container:
        resampler = av.AudioResampler("dblp", "stereo", container.streams.audio[0].codec_context.sample_rate)
        frames = [piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
        return np.concatenate([piece.to_ndarray() for piece in frames], axis=1)


def codec_of(data: bytes) -> str:
    with av.open(io.BytesIO(data), "r") as container:
        return container.streams.audio[0].codec_context.name


@pytest.mark.parametrize(
    ("codec", "container", "kept", "warns"),
    [
        ("pcm_alaw", "avi", "pcm_s16le", False),
        ("pcm_mulaw", "mov", "pcm_s16le", False),
        ("pcm_s8", "mov", "pcm_u8", False),
        ("pcm_f32be", "mov", "pcm_f32le", False),
        ("pcm_f64be", "mov", "pcm_f64le", False),
        ("pcm_s24be", "mov", "pcm_s24be", False),
        ("adpcm_ms", "avi", "flac", True),
        ("adpcm_ima_qt", "mov", "flac", True),
    ],
)
def test_sound_that_matroska_has_no_place_for_keeps_its_samples(
    codec: str, container: str, kept: str, warns: bool
) -> None:
    data = make_video(clip(10, 32, 32), container, codec="mpeg4", options={}, audio=codec)
    source = open_source(io.BytesIO(data))
    assert source.audio is not None and codec_of(source.audio) == kept
    assert bool(source.warnings) == warns and (not warns or "is kept as FLAC" in source.warnings[0])
    before, after = samples(data), samples(source.audio)
    assert before.shape == after.shape
    assert np.array_equal(before, after)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"])
def test_pcm_becomes_alac_in_mp4(codec: str) -> None:
    """Players take MP4's own PCM for 16 bits, which is noise, or for nothing."""
    data = make_video(clip(10, 32, 32), "mov" if codec != "pcm_u8" else "avi", codec="mpeg4", options={}, audio=codec)
    source = open_source(io.BytesIO(data))
    written = through(source, "mp4")
    assert codec_of(written) == "alac"
    before, after = samples(data), samples(written)
    assert np.abs(before - after[:, : before.shape[1]]).max() <= (0 if codec in ("pcm_s16le", "pcm_u8") else 2**-22)
    assert codec_of(through(source, "mov")) == codec and codec_of(through(source, "mkv")) == codec


def test_flac_becomes_alac_in_quicktime() -> None:
    source = open_source(io.BytesIO(make_video(clip(10, 32, 32), "matroska", audio="flac")))
    assert codec_of(through(source, "mov")) == "alac" and codec_of(through(source, "mp4")) == "flac"


@pytest.mark.parametrize(("codec", "suffix"), [("libopus", "mov"), ("aac", "webm"), ("flac", "webm")])
def test_a_container_that_cannot_hold_the_sound_is_named(codec: str, suffix: str) -> None:
    """QuickTime refuses Opus only when its header is written."""
    source = open_source(io.BytesIO(make_video(clip(10, 32, 32), "matroska", audio=codec)))
    name = codec.removeprefix("lib")
    with pytest.raises(ParameterError, match=f".{suffix} cannot hold {name} audio; write .mkv"):
        through(source, suffix)
