"""Small media files for the tests, all procedural: pictures, clips with sound, y4m streams."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from tessera.codec.media import Frame

Pixels = NDArray[np.uint8]


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> Pixels:
    """Smooth colour with some texture, uint8 (height, width, channels): no two quarter turns of it are alike."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    noise = np.random.default_rng(seed).normal(0, 4, (height, width, channels))
    phases = np.arange(channels) + seed
    waves = 128 + 70 * np.sin(3 * x[..., None] + phases) + 50 * np.cos(5 * y[..., None] * (1 + x[..., None]))
    pixels: Pixels = np.clip(np.rint(waves + noise), 0, 255).astype(np.uint8)
    return pixels


def clip(frames: int, height: int, width: int, channels: int = 3) -> Pixels:
    """A picture that slides by two pixels per frame, uint8 (frames, height, width, channels)."""
    wide = picture(height, width + 2 * frames, channels)
    return np.stack([wide[:, 2 * i : 2 * i + width] for i in range(frames)])


UNEVEN = Fraction(1, 600)  # time base of a clip of uneven rhythm


def times(frames: int) -> list[int]:
    """Uneven time stamps in 1/600 s, about 20 per second."""
    steps = [24 + 7 * (i % 3) for i in range(frames)]
    return [sum(steps[:i]) for i in range(frames)]


def make_video(
    pixels: Pixels,
    container: str = "mp4",
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    vary: bool = False,
    matrix: int = 2,
    full_range: bool = False,
    rotation: int = 0,
    audio: str | None = None,
    options: dict[str, str] | None = None,
) -> bytes:
    """Encode `pixels` (T, H, W, 1 or 3) at crf 4, with a tone if `audio` names a codec."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        settings = {"crf": "4", "preset": "veryfast"} if options is None else options
        stream = cast(VideoStream, output.add_stream(codec, rate=25, options=settings))
        stream.height, stream.width, stream.pix_fmt = pixels.shape[1], pixels.shape[2], pixel_format
        context = stream.codec_context
        base = UNEVEN if vary else Fraction(1, 25)
        context.time_base = base
        context.colorspace, context.color_range = matrix, 2 if full_range else 1
        context.color_primaries, context.color_trc = 1, 13
        if rotation:
            stream.set_display_rotation(rotation)
        sound = _add_sound(output, audio) if audio else None
        output.start_encoding()  # so that a clip without frames has a header
        for array, pts in zip(pixels, times(len(pixels)) if vary else range(len(pixels)), strict=True):
            frame = _frame(array, pixel_format, matrix, full_range)
            frame.pts, frame.time_base = pts, base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound is not None:
            _write_tone(output, sound, len(pixels) / 25)
    return file.getvalue()


def _frame(array: Pixels, pixel_format: str, matrix: int, full_range: bool) -> av.VideoFrame:
    layout = {1: "gray", 3: "rgb24", 4: "rgba"}[array.shape[2]]
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array if layout != "gray" else array[..., 0]), layout)
    number = {1: 1, 9: 9}.get(matrix, 5)
    if pixel_format.startswith("yuv"):
        frame = frame.reformat(format=pixel_format, dst_colorspace=number, dst_color_range=2 if full_range else 1)
    elif pixel_format != layout:
        frame = frame.reformat(format=pixel_format)
    return frame


def _add_sound(output: Any, codec: str) -> AudioStream:
    return cast(AudioStream, output.add_stream(codec, rate=48000 if codec == "libopus" else 44100))


def _write_tone(output: Any, sound: AudioStream, seconds: float) -> None:
    rate = sound.codec_context.sample_rate
    for index in range(int(seconds * rate / 1024)):
        phase = np.arange(1024 * index, 1024 * (index + 1)) * 0.05
        samples = np.stack([np.sin(phase), np.cos(phase)]).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.rate, frame.pts = rate, 1024 * index
        output.mux(sound.encode(frame))
    output.mux(sound.encode(None))


def stored(image: Image.Image, kind: str, **options: Any) -> io.BytesIO:
    """A picture in a format of Pillow's, from its beginning."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def make_png(
    width: int, height: int, depth: int, colour: int, rows: bytes, more: Sequence[tuple[bytes, bytes]] = ()
) -> bytes:
    """A PNG of any header, also of kinds that Pillow cannot write; `rows` with their filter bytes, `more` chunks."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def make_y4m(planes: list[list[Pixels]], header: str) -> bytes:
    """A y4m stream of the given planes, one list per frame; `header` is the first line without its end."""
    body = b"".join(b"FRAME\n" + b"".join(plane.tobytes() for plane in frame) for frame in planes)
    return header.encode() + b"\n" + body


def exact(frame: av.VideoFrame, layout: str = "rgb24") -> Pixels:
    """What `ffmpeg -sws_flags accurate_rnd+full_chroma_int` makes of a frame."""
    flags = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    return np.asarray(frame.reformat(format=layout, interpolation=int(flags)).to_ndarray(), np.uint8)


def alpha_of(frame: Frame) -> Pixels:
    """The alpha of a frame that must have one."""
    assert frame.alpha is not None
    return frame.alpha


def save(folder: Path, name: str, data: bytes) -> str:
    """Write `data` and return its path as a string."""
    path = folder / name
    path.write_bytes(data)
    return str(path)


def psnr(a: Pixels, b: Pixels) -> float:
    """Peak signal to noise ratio in dB, infinite for equal arrays."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return 10 * float(np.log10(255**2 / error)) if error else float("inf")
