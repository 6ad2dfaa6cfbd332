"""Opening containers through PyAV: which formats are let in, which stream is the video, what errors become."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, cast

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from ..errors import CodecError, FormatError, UnsupportedError
from .inputs import Input
from .truncation import declared_size, has_index
from .types import unreadable

# Formats that hold their own pictures.  Playlists (hls, dash, concat) are left out since they open other files and
# addresses; so is everything that takes any bytes for a picture (raw video, text art, tty), and every picture format
# that Pillow reads: FFmpeg would make half a picture of a file that Pillow found damaged.
_DEMUXERS = (
    "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi,mpegts,mpeg,mpegvideo,mpegtsraw,flv,live_flv,asf,ogg,ivf,obu,av1,"
    "h264,hevc,vvc,evc,m4v,vc1,vc1test,h263,h261,dirac,dnxhd,cavsvideo,avs2,avs3,nut,mxf,gxf,dv,rm,"
    "wtv,swf,nsv,nuv,smk,bink,roq,cineform,film_cpk,flic,yop,thp,rpl,ivr,r3d,"
    "jpegxl_anim,jpegxl_pipe,jpegls_pipe,jpegxs_pipe,exr_pipe,dpx_pipe,hdr_pipe,phm_pipe,xwd_pipe"
)

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


class _Nameless:
    """A file without its path: PyAV would guess the format from the suffix."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def open_container(handle: BinaryIO, name: str, stream_name: str | None = None) -> InputContainer | None:
    """The container at the start of `handle`, or None where no demuxer knows the bytes.

    stream_name: FFmpeg's name of the format, which is then taken unseen.
    """
    options = {"format_whitelist": stream_name or _DEMUXERS}
    try:
        return av.open(
            _Nameless(handle), "r", format=stream_name, container_options=options, metadata_errors="replace"
        )
    except (av.error.InvalidDataError, av.error.ArgumentError):  # the second where the format is one that is left out
        return None
    except av.error.EOFError as error:
        raise FormatError(f"{name}: the file ends before its first frame; record or copy it again") from error
    except (av.error.FFmpegError, ValueError) as error:
        raise failure(name, error) from error


def failure(name: str, error: Exception, what: str = "video") -> CodecError:
    """The FormatError for an error of PyAV, without its numbers and internal names."""
    reason = getattr(error, "strerror", None) or str(error)
    return unreadable(name, ValueError(reason), what)


def check_whole(data: Input) -> None:
    """Raise FormatError where the container's own lengths reach beyond the end of the file."""
    size = data.size()
    if size is None:
        return
    with data.handle() as handle:
        declared = declared_size(handle)
        indexed = has_index(handle, size)
    if declared is not None and declared > size:
        rest = "ffmpeg -i IN -c copy OUT keeps what is there of a video"
        if not indexed:
            rest = "without its index, the box moov, no program plays what is there"
        raise FormatError(
            f"{data.name}: the file is truncated: {size} of {declared} bytes are there; copy it again ({rest})"
        )


def pick_video(container: InputContainer, name: str) -> VideoStream:
    """The first video stream that is not a cover picture."""
    for stream in container.streams.video:
        if Disposition.attached_pic in stream.disposition:  # the cover picture of a music file is no video
            continue
        context: object = stream.codec_context  # None where FFmpeg has no decoder, whatever the type says
        if context is None:
            raise UnsupportedError(f"{name}: {_not_decoded(container.format.name)}")
        return stream
    kinds = sorted({str(stream.type) for stream in container.streams})
    holds = f"only {', '.join(kinds)}" if kinds else "no stream at all"
    raise FormatError(f"{name}: the file holds {holds}, no video; give a video or a picture")


def _not_decoded(container: str) -> str:
    """Why a stream is not decoded, and what to do: the containers of single pictures are named after their codec."""
    kind = container.removesuffix("_pipe").removesuffix("_anim")
    if kind == container:
        return "this install cannot decode the video's codec; convert it to H.264 first"
    shown = {"jpegxl": "JPEG XL", "jpegls": "JPEG-LS", "jpegxs": "JPEG XS"}.get(kind, kind.upper())
    return f"this install cannot decode {shown}; convert the picture to PNG first"


def decode(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Every frame of `stream`; VP8 and VP9 with alpha go through libvpx, FFmpeg's own decoders drop the alpha."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if not claims_alpha(stream) or name not in av.codecs_available:
        yield from container.decode(stream)
        return
    context = cast(VideoCodecContext, av.CodecContext.create(name, "r"))
    for packet in container.demux(stream):
        yield from context.decode(packet if packet.size else None)


def claims_alpha(stream: VideoStream) -> bool:
    """True where a WebM file says that its video has an alpha layer."""
    return stream.metadata.get("alpha_mode") == "1"


def what_is_lost(container: InputContainer, video: VideoStream, name: str) -> list[str]:
    """A warning for every stream and property of the container that is not carried."""
    lost = [s for s in container.streams if s.type not in ("video", "audio")]
    lines = [f"{name}: {s.type} stream {s.index} is not kept" for s in lost]
    others = [s for s in container.streams.video if s.index != video.index]
    lines += [f"{name}: video stream {s.index} is not kept, only the first is" for s in others]
    return lines
