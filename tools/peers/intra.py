"""Still pictures through the intra coding of video codecs: `hevc` (x265 in PyAV) and `vvc` (vvenc in imageio-ffmpeg).

The picture becomes full-range BT.709 YUV; the file is the bare stream, without a container.
"""

from __future__ import annotations

import importlib.util
import io
import subprocess
from collections.abc import Sequence
from typing import Any

import numpy as np

from tessera.codec.errors import CodecError, ParameterError, UnsupportedError
from tessera.codec.media.types import Pixels
from tessera.tools.peers.peer import Options, Peer, PicturePeer, filled

PRESETS = ("slow", "medium", "fast", "faster", "veryfast", "superfast", "ultrafast", "slower", "veryslow", "placebo")


def build(spec: str, name: str, given: Options) -> PicturePeer:
    return _hevc(spec, given) if name == "hevc" else _vvc(spec, given)


def _hevc(spec: str, given: Options) -> PicturePeer:
    choices = {"preset": PRESETS, "tune": ("psnr", "ssim", "default"), "subsampling": ("4:4:4", "4:2:0")}
    options = filled(spec, given, choices)
    layout = "yuv" + options["subsampling"].replace(":", "") + "p"
    fixed = {"preset": options["preset"]} | ({} if options["tune"] == "default" else {"tune": options["tune"]})
    fixed["x265-params"] = "info=0:log-level=none:pools=none:frame-threads=1:keyint=1"
    shown = " ".join(f"-{key} {value}" for key, value in fixed.items())

    def encode(pixels: Pixels, qp: float) -> bytes:
        import av

        buffer = io.BytesIO()
        with av.open(buffer, "w", format="hevc") as output:
            stream: Any = output.add_stream("libx265", rate=1, options={**fixed, "qp": f"{qp:g}"})
            stream.height, stream.width = pixels.shape[:2]
            stream.pix_fmt = layout
            output.mux(stream.encode(_to_yuv(pixels, layout)))
            output.mux(stream.encode(None))
        return buffer.getvalue()

    return Peer(
        spec, "qp", (44, 40, 36, 32, 28, 24, 20), f"PyAV: libx265 -qp Q {shown} -pix_fmt {layout}, full-range BT.709",
        encode, _hevc_decode, _av_version, limits=(1, 51),
    )  # fmt: skip


def _to_yuv(pixels: Pixels, layout: str) -> Any:
    from tessera.codec.media import colour
    from tessera.codec.media.types import Colour, Frame

    return colour.pack(Frame(pixels), layout, Colour(matrix=1, full_range=True))


def _hevc_decode(data: bytes) -> Pixels:
    import av

    from tessera.codec.media import colour

    with av.open(io.BytesIO(data), "r", format="hevc") as container:
        frame: Any = next(container.decode(video=0))
    frame.colorspace, frame.color_range = 1, colour.FULL
    return colour.unpack(frame)[0]


def _av_version() -> str:
    import av

    return f"PyAV {av.__version__} libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}"


def _vvc(spec: str, given: Options) -> PicturePeer:
    choices = {"preset": ("medium", "faster", "fast", "slow"), "subsampling": ("4:2:0", "4:4:4")}
    options = filled(spec, given, choices)
    layout = "yuv" + options["subsampling"].replace(":", "") + "p10le"
    command = f"-c:v libvvenc -preset {options['preset']} -pix_fmt {layout}"

    def encode(pixels: Pixels, qp: float) -> bytes:
        height, width = pixels.shape[:2]
        raw = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -i -"
        scale = "-vf scale=out_color_matrix=bt709:out_range=full"
        return ffmpeg(f"{raw} {scale} {command} -qp {qp:g} -threads 1 -f vvc -".split(), pixels.tobytes())

    def decode(data: bytes) -> Pixels:
        scale = "-vf scale=in_color_matrix=bt709:in_range=full"
        ppm = ffmpeg(f"-f vvc -i - {scale} -frames:v 1 -c:v ppm -pix_fmt rgb24 -f image2pipe -".split(), data)
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(ppm)))

    about = f"imageio-ffmpeg: ffmpeg {command} -qp Q, one frame, full-range BT.709"
    return Peer(spec, "qp", (47, 42, 37, 32, 27, 22, 17), about, encode, decode, ffmpeg_version, limits=(1, 63))


def ffmpeg(arguments: Sequence[str], data: bytes = b"") -> bytes:
    """What the bundled ffmpeg writes to stdout for `data` on stdin.  CodecError with its words where it fails."""
    command = [_executable(), "-hide_banner", "-loglevel", "error", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise CodecError(f"ffmpeg {' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _executable() -> str:
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise UnsupportedError("vvc needs the package imageio-ffmpeg, which is not installed")
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise ParameterError(f"imageio-ffmpeg has no ffmpeg for this machine: {error}") from error


def ffmpeg_version() -> str:
    import imageio_ffmpeg

    _executable()
    return f"imageio-ffmpeg {imageio_ffmpeg.__version__} ffmpeg {imageio_ffmpeg.get_ffmpeg_version()}"
