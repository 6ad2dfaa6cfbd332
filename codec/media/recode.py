"""Sound decoded and coded again without loss, for codecs that a container has no place for."""

from __future__ import annotations

import io
from typing import Any, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

# FFmpeg's sample formats to the PCM that holds exactly their values.
_PCM = {"u8": "pcm_u8", "s16": "pcm_s16le", "s32": "pcm_s32le", "flt": "pcm_f32le", "dbl": "pcm_f64le"}
_FLAC = {"u8": "s16", "s16": "s16"}  # the others become 24 bits in s32
_ALAC = {"u8": "s16p", "s16": "s16p"}  # the others 24 bits in s32p
_FLAC_CHANNELS = 8
_LAYOUTS = {1: "mono", 2: "stereo"}


def is_pcm(stream: AudioStream) -> bool:
    """True for samples as they are, in whatever order of bytes, and for the curves of telephony."""
    return stream.codec_context.name.startswith("pcm_")


def kept_as(stream: AudioStream) -> tuple[str, str]:
    """Codec and sample format that Matroska holds: the same samples for PCM, FLAC for what was compressed."""
    packed = stream.codec_context.format.packed.name
    if is_pcm(stream) or _channels(stream) > _FLAC_CHANNELS:
        return _PCM.get(packed, "pcm_s32le"), packed if packed in _PCM else "s32"
    return "flac", _FLAC.get(packed, "s32")


def lossless_for(stream: AudioStream, container: str) -> tuple[str, str] | None:
    """Codec and sample format for a lossless stream that has no good place in the container, else None.

    MP4's box for PCM is unknown to players, or misread; QuickTime has none for FLAC.  ALAC knows few layouts of more
    than two channels.
    """
    packed = stream.codec_context.format.packed.name
    few = _channels(stream) <= 2
    if container == "mp4" and is_pcm(stream):
        return ("alac", _ALAC.get(packed, "s32p")) if few else ("flac", _FLAC.get(packed, "s32"))
    if container == "mov" and stream.codec_context.name == "flac" and few:
        return "alac", _ALAC.get(packed, "s32p")
    return None


def _channels(stream: AudioStream) -> int:
    return int(stream.codec_context.layout.nb_channels)


def recode(container: InputContainer, stream: AudioStream, codec: str, sample_format: str) -> InputContainer:
    """A container in memory whose only stream is `stream` in `codec`; the caller closes it."""
    context = stream.codec_context
    kind = "mov" if codec == "alac" else "nut"  # both keep time stamps exactly
    file = io.BytesIO()
    with av.open(file, "w", format=kind, options={"fflags": "+bitexact"}) as output:
        target = cast(AudioStream, output.add_stream(codec, rate=context.sample_rate))
        layout = _LAYOUTS.get(_channels(stream), context.layout.name)  # a count of channels alone names no layout
        target.codec_context.layout = layout
        target.codec_context.format = av.AudioFormat(sample_format)
        resampler = av.AudioResampler(sample_format, layout, context.sample_rate)
        for frame in container.decode(stream):
            for piece in resampler.resample(frame):
                output.mux(target.encode(piece))
        for piece in resampler.resample(None):
            output.mux(target.encode(piece))
        output.mux(target.encode(None))
    file.seek(0)
    made: Any = av.open(file, "r", format=kind)
    return cast(InputContainer, made)
