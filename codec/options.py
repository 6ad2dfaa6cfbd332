"""What a caller chooses: one frozen dataclass for encoding and one for decoding, each of which checks its own values.

The public functions build one from their keywords; only the dataclass is passed on.  A new option is one field here.
"""

from __future__ import annotations

import inspect
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias, TypeVar, Union, get_args

from .defaults import CODEC, FITTED
from .errors import ParameterError, need_torch
from .limits import DEFAULT_LIMITS, GROUP_FRAMES, Limits
from .ranges import FrameRange, bounds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor

    from .media.types import Source

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}

Effort = Literal["fast", "medium", "slow", "best"]
"""Speed of the encoder; "best" is for pictures."""

CodecName = Literal["spatiotemporal", "wavelet", "vqgan", "overfitted", "nerv"]
"""A codec family of this install."""

DecoderName = Literal["fast", "standard", "best", "perceptual"]
"""A synthesis network, which makes the pixels; `tessera codecs` lists those of each family."""

Progress = Callable[[int, "int | None"], None]
"""Called with the frames that are done, and with how many there will be, None where nobody knows."""

FileSource: TypeAlias = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO]
"""A .tsr file: a path, its bytes, or a binary file that is open for reading."""

FrameSource: TypeAlias = Union["NDArray[np.uint8]", "Tensor", "Image.Image", "Source", FileSource]
"""What can be encoded: uint8 frames as an array or a tensor, a picture of PIL, or a media file as a path, bytes or an
open binary file."""

Function = TypeVar("Function", bound=Callable[..., Any])
Chosen = TypeVar("Chosen", "EncodeOptions", "DecodeOptions")


@dataclass(frozen=True)
class EncodeOptions:
    """How to encode.  At most one of `quality`, `bpp`, `size` and `psnr` may be given.

    Attributes:
        codec: The codec family; `tessera codecs` lists them.
        quality: 0 (smallest file) to 100 (best picture).  Where no target is given, 50.
        bpp: Target in bits per pixel of the whole file.
        size: Target in bytes: the largest size of the file; also as text, "20KB" or "1.5MiB".
        psnr: Target in dB: the lowest mean RGB PSNR of the frames.
        effort: Speed of the encoder; decoding is not affected.  "slow" makes smaller files than "medium".  "best" makes
            the smallest files of pictures: it fits networks to the picture (codec overfitted), which takes minutes.
            With "slow" and "best" another machine may make another file of the same picture.  "slow" needs the extra
            `torch`.
        gop: Frames per group.  More compress better, fewer make random access finer.  None: the family's choice.
        fps: Frames per second of a source that does not know its rate (arrays, folders); also as text, "30000/1001".
        frames: (start, stop) of the frames to encode.  None: all.
        decoder: The synthesis network that the file names as its best.  None: the family's first.
        device: "cpu", "cuda" or "cuda:N".  Not every family runs on CUDA.
        metadata: Keep the ICC profile, Exif, XMP, IPTC, texts, resolution, chapters and audio.
        digest: Keep a digest of each group's pixels, which `verify` compares.  The encoder then decodes what it has
            encoded.  Only for families whose pixels are the same on every machine.
        limits: Upper bounds on what is encoded.
        progress: Called after each group with the number of frames that are done.
        family_options: Options of the codec family, by name; `tessera codecs` lists them.

    Raises:
        ParameterError: A value is out of range, or two contradict each other.  The message names the argument.
    """

    codec: CodecName = CODEC
    quality: float | None = None
    bpp: float | None = None
    size: int | str | None = None
    psnr: float | None = None
    effort: Effort = "medium"
    gop: int | None = None
    fps: float | Fraction | str | None = None
    frames: FrameRange | None = None
    decoder: DecoderName | None = None
    device: str = "cpu"
    metadata: bool = True
    digest: bool = False
    limits: Limits = DEFAULT_LIMITS
    progress: Progress | None = None
    family_options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = [name for name in ("quality", "bpp", "size", "psnr") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ParameterError(f"{' and '.join(given)} contradict each other: give one of them")
        check_codec(self.codec)
        _check_number("quality", self.quality, 0, 100)
        if isinstance(self.size, str):
            object.__setattr__(self, "size", parse_size(self.size))
        if isinstance(self.fps, str):
            object.__setattr__(self, "fps", parse_rate(self.fps))
        for name in ("bpp", "size", "psnr", "fps"):
            _check_positive(name, getattr(self, name))
        check_gop(self.gop)
        _check_choice("effort", self.effort, get_args(Effort))
        if self.effort == "best" and self.codec not in (CODEC, FITTED):
            raise ParameterError(f"effort best is of codec {FITTED}; for codec {self.codec} slow is the most")
        bounds(self.frames)
        check_device(self.device)

    @property
    def rate(self) -> Fraction | None:
        """`fps` as a fraction of small numbers, which is how files hold it: 29.97 stands for 30000/1001."""
        assert not isinstance(self.fps, str), "it was parsed"
        return None if self.fps is None else as_rate(self.fps)

    @property
    def family(self) -> CodecName:
        """The codec family that encodes: effort best has its own."""
        return FITTED if self.effort == "best" else self.codec

    @property
    def searches(self) -> bool:
        """Whether the source may be read several times: to meet a size or a PSNR, or to compare two codecs."""
        return self.effort == "best" or any(target is not None for target in (self.bpp, self.size, self.psnr))


@dataclass(frozen=True)
class DecodeOptions:
    """How to decode.

    Attributes:
        frames: (start, stop) of the frames to decode.  None: all.
        decoder: The synthesis network to paint with.  None: the one that the file names.
        device: "cpu", "cuda" or "cuda:N".  Not every family runs on CUDA.
        partial: Of a damaged file, decode the frames that are left.
        conceal: Fill in the frames that a damaged file has lost, so that as many come as were encoded.
        limits: Upper bounds; a file beyond one of them is refused before memory is allocated.
        progress: Called after each group with the number of frames that are done.

    Raises:
        ParameterError: A value is out of range.  The message names the argument.
    """

    frames: FrameRange | None = None
    decoder: DecoderName | None = None
    device: str = "cpu"
    partial: bool = False
    conceal: bool = False
    limits: Limits = DEFAULT_LIMITS
    progress: Progress | None = None

    def __post_init__(self) -> None:
        bounds(self.frames)
        check_device(self.device)

    @property
    def lenient(self) -> bool:
        """Whether damage is reported instead of raised."""
        return self.partial or self.conceal


def parse_size(text: str) -> int:
    """Bytes from `200KB` (200,000), `1.5MiB` (1,572,864), `512`.  ParameterError for what is no size."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = match and _UNITS.get(match[2].upper())
    if not match or not unit:
        raise ParameterError(f"{text!r} is not a size like 200KB, 1.5MiB or 512")
    number = round(float(match[1]) * unit)
    if number < 1:
        raise ParameterError(f"{text!r} is less than one byte")
    return number


def as_rate(fps: float | Fraction) -> Fraction:
    """Frames per second as a fraction of small numbers.

    A number near one of the rates of broadcast, a whole one by 1.001, stands for that: 23.976, 29.97.
    """
    if isinstance(fps, Fraction):
        return fps.limit_denominator(1001)
    broadcast = Fraction(1000 * round(fps * 1.001), 1001)
    if fps != round(fps) and abs(fps - broadcast) < 0.005:
        return broadcast
    return Fraction(fps).limit_denominator(1001)


def parse_rate(text: str) -> Fraction:
    """Frames per second from `25`, `29.97` or `30000/1001`.  ParameterError for what is no positive rate."""
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)(?:[/:](\d{1,9}))?\s*", text)
    if found is None or (found[2] is not None and (not int(found[2]) or "." in found[1])):
        raise ParameterError(f"{text!r} is not a frame rate like 25, 29.97 or 30000/1001")
    rate = Fraction(int(found[1]), int(found[2])) if found[2] is not None else as_rate(float(found[1]))
    if rate <= 0:
        raise ParameterError(f"{text!r} is not a positive frame rate")
    return rate


def from_keywords(kind: type[Chosen], options: Chosen | None, keywords: Mapping[str, Any]) -> Chosen:
    """`options`, by default all defaults, with the keywords set; what `kind` does not know goes to the codec family.

    ParameterError for a keyword that nobody takes.
    """
    known = {name.name for name in fields(kind)}
    given = {name: value for name, value in keywords.items() if name in known}
    rest = {name: value for name, value in keywords.items() if name not in known}
    if rest and "family_options" not in known:
        raise ParameterError(f"there is no option {', '.join(sorted(rest))}; there are {', '.join(sorted(known))}")
    base = kind() if options is None else options
    if isinstance(base, EncodeOptions) and rest:
        given["family_options"] = {**given.get("family_options", base.family_options), **rest}
    return replace(base, **given)


def takes(kind: type[EncodeOptions] | type[DecodeOptions]) -> Callable[[Function], Function]:
    """Show the fields of `kind` as keywords in the signature of a function that takes them as `**keywords`."""

    def shown(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        more = [
            inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
            for each in fields(kind)
            if each.name != "family_options"
        ]
        if kind is EncodeOptions:
            more.append(inspect.Parameter("family_options", inspect.Parameter.VAR_KEYWORD, annotation="object"))
        function.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        return function

    return shown


# -- checks ------------------------------------------------------------------------------------------------------------


def check_codec(name: str) -> None:
    """ParameterError for a name that is no codec family."""
    from ..models.registry import FAMILIES

    if name not in FAMILIES:
        raise ParameterError(f"there is no codec {name!r}; there are {', '.join(sorted(FAMILIES))}")


def check_device(device: str) -> None:
    """ParameterError for what is no device, or a CUDA device that this machine lacks."""
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", device) if isinstance(device, str) else None
    if not match:
        raise ParameterError(f"device {device!r} is not cpu, cuda or cuda:N")
    if device == "cpu":
        return
    need_torch(f"device {device}")
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(match[1] or 0) >= count:
        raise ParameterError(f"device {device}: PyTorch finds {count or 'no'} CUDA devices here; cpu always works")


def check_gop(gop: int | None) -> None:
    """ParameterError for a number of frames that no group can have."""
    if gop is not None and not (_is_integer(gop) and 1 <= gop <= GROUP_FRAMES):
        raise ParameterError(f"gop {gop} is not a whole number in 1..{GROUP_FRAMES}")


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ParameterError(f"{name} {value!r} is not {', '.join(choices[:-1])} or {choices[-1]}")


def _check_number(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not (_is_number(value) and low <= value <= high):
        raise ParameterError(f"{name} {value} is not in {low:g}..{high:g}")


def _check_positive(name: str, value: float | None) -> None:
    if value is not None and not (_is_number(value) and math.isfinite(value) and value > 0):
        raise ParameterError(f"{name} {value} is not a positive number")


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, (str, bytes))


def _is_integer(value: object) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
