"""Clip codecs: x264, x265, SVT-AV1 through PyAV and VVC (vvenc) through imageio-ffmpeg, at named presets and GOPs.

Each makes a file in memory, Matroska or, for VVC, the bare stream.  The clip's own YUV frames go in when they are 8-bit
4:2:0 (what is not becomes that; vvenc wants 10 bits, which hold the 8), so nothing is lost on the way; the decoded file
becomes RGB by the same conversion as the source.  Every encoder runs on a fixed number of threads, because the files
depend on it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from tessera.codec.errors import FormatError, ParameterError
from tessera.codec.media.types import Pixels
from tessera.tools.peers import intra
from tessera.tools.peers.peer import Options, Peer, filled, parse

ClipPeer = Peer[Path, Iterator[Pixels]]

_X26_PRESETS = ("medium", "slow", "slower", "veryslow", "fast", "faster", "veryfast", "superfast", "ultrafast")
_SVT_TUNES = {"vq": 0, "psnr": 1}
_TUNES = ("default", "psnr", "ssim", "zerolatency", "grain", "fastdecode")


@dataclass(frozen=True)
class _Encoder:
    """library    FFmpeg's name; `threads` its options for a fixed number of them; `levels` from low rate to high"""

    library: str
    presets: tuple[str, ...]
    tunes: tuple[str, ...]
    levels: tuple[float, ...]
    threads: tuple[tuple[str, str], ...]
    step: float
    parameter: str = "crf"
    greatest: int = 51
    layout: str = "yuv420p"


_ENCODERS = {
    "x264": _Encoder("libx264", _X26_PRESETS, _TUNES, (35, 30, 25, 20), (("threads", "1"),), 0.1),
    "x265": _Encoder(
        "libx265", _X26_PRESETS, _TUNES, (35, 30, 25, 20),
        (("x265-params", "pools=none:frame-threads=2:info=0:log-level=none"),), 0.1,
    ),
    "svtav1": _Encoder(
        "libsvtav1", ("8", *(str(n) for n in range(14) if n != 8)), ("default", "psnr", "vq"), (55, 45, 35, 25),
        (("svtav1-params", "lp=1"),), 1.0, greatest=63,
    ),
    "vvc": _Encoder(
        "libvvenc", ("medium", "slow", "slower", "fast", "faster"), ("default",), (42, 37, 32, 27),
        (("threads", "1"),), 1.0, "qp", 63, "yuv420p10le",
    ),
}  # fmt: skip
CLIP_PEERS = tuple(_ENCODERS)


def clip_peer(spec: str) -> ClipPeer:
    """The clip codec that `spec` names: `x265@preset=slow@tune=psnr@gop=32`.  ParameterError for a wrong spec."""
    name, given = parse(spec)
    if name not in _ENCODERS:
        raise ParameterError(f"no codec {name!r} for video; there are {', '.join(_ENCODERS)}")
    encoder = _ENCODERS[name]
    options = filled(spec, given, {"preset": encoder.presets, "tune": encoder.tunes, "gop": ("default", "")})
    fixed = _fixed(spec, encoder, options)
    shown = " ".join(f"-{key} {value}" for key, value in fixed.items())

    through, to, code, version = (
        ("imageio-ffmpeg", "a bare stream", _encode_vvc, _vvc_version)
        if name == "vvc"
        else ("PyAV", "in Matroska", _encode, _version)
    )

    def encode(path: Path, level: float) -> bytes:
        return code(path, encoder, {**fixed, encoder.parameter: f"{level:g}"})

    return Peer(
        spec, encoder.parameter, encoder.levels,
        f"{through}: {encoder.library} -{encoder.parameter} C {shown} -pix_fmt {encoder.layout}, {to}",
        encode, _decode, version, encoder.step, limits=(1, encoder.greatest),
    )  # fmt: skip


def _fixed(spec: str, encoder: _Encoder, options: Options) -> dict[str, str]:
    fixed, threads = {"preset": options["preset"]}, dict(encoder.threads)
    if options["tune"] in _SVT_TUNES and encoder.library == "libsvtav1":
        threads["svtav1-params"] += f":tune={_SVT_TUNES[options['tune']]}"
    elif options["tune"] != "default":
        fixed["tune"] = options["tune"]
    if options["gop"] != "default":
        if not options["gop"].isdecimal() or int(options["gop"]) < 1:
            raise ParameterError(f"codec {spec!r}: gop is a whole number of frames, or default")
        fixed["g"] = options["gop"]
    return {**fixed, **threads}


def _encode(path: Path, encoder: _Encoder, options: dict[str, str]) -> bytes:
    import av

    _quiet()
    buffer = io.BytesIO()
    with av.open(str(path)) as source, av.open(buffer, "w", format="matroska") as output:
        if not source.streams.video:
            raise FormatError(f"{path}: no video stream")
        stream: Any = None
        for index, frame in enumerate(source.decode(video=0)):
            if stream is None:
                stream = _stream(output, encoder.library, options, source.streams.video[0], frame)
            output.mux(stream.encode(_plain(frame, index, stream)))
        if stream is None:
            raise FormatError(f"{path}: no frame")
        output.mux(stream.encode(None))
    return buffer.getvalue()


def _encode_vvc(path: Path, encoder: _Encoder, options: dict[str, str]) -> bytes:
    given = [word for key, value in options.items() for word in (f"-{key}", value)]
    frames = ["-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough", "-pix_fmt", encoder.layout]
    return intra.ffmpeg([*frames, "-c:v", encoder.library, *given, "-f", "vvc", "-"])


def _vvc_version() -> str:
    return f"{intra.ffmpeg_version()}, decoded by {_version()}"


def _stream(output: Any, library: str, options: dict[str, str], source: Any, frame: Any) -> Any:
    """The output's video stream, of the source's size, rate and colour."""
    rate = Fraction(source.average_rate or 25)
    stream = output.add_stream(library, rate=rate, options=options)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
    context, of = stream.codec_context, source.codec_context
    context.time_base = stream.time_base = 1 / rate
    context.color_primaries, context.color_trc = of.color_primaries, of.color_trc
    context.colorspace, context.color_range = frame.colorspace, frame.color_range
    return stream


def _plain(frame: Any, index: int, stream: Any) -> Any:
    """The frame as 8-bit 4:2:0, numbered, its type left to the encoder."""
    plain = frame if frame.format.name == "yuv420p" else frame.reformat(format="yuv420p")
    plain.pts, plain.time_base = index, stream.codec_context.time_base  # the container's own changes as it starts
    plain.pict_type = 0
    return plain


def _decode(data: bytes) -> Iterator[Pixels]:
    from tessera.codec.media import open_source

    with open_source(io.BytesIO(data)) as source:
        for frame in source.frames():
            yield frame.pixels


def _version() -> str:
    import av

    return f"PyAV {av.__version__} libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}"


def _quiet() -> None:
    """Keep SVT-AV1 from printing to the terminal.

    PyAV is silent unless its log level is set; setting it would let FFmpeg's threads wait for Python's lock, and hang.
    """
    import os

    os.environ.setdefault("SVT_LOG", "1")
