"""Rate and quality targets: find the fine quality that meets a file size or a PSNR.

Both searches bracket the target and close in by interpolation, on a sample of the groups first and then on the whole
source, so that what counts in the end is the real file.  Size grows with quality nearly as an exponential, PSNR nearly
as a line: interpolating log(size) and PSNR takes four to six encodes where bisection takes thirteen.
"""

from __future__ import annotations

import io
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...models.base.fitted import FitFailed, Fits, quality_of
from ...models.base.quality import MAX_FINE, fine
from .. import defaults
from ..errors import ParameterError
from ..format.details import pack_details
from ..format.pipe import PipeReader
from ..options import DecodeOptions
from ..ranges import bounds
from ..spool import open_spool
from .groups import Group, group_length
from .ports import BitMeter
from .stream import Encoded, EncoderSettings, decode_groups, encode_stream, make_header

if TYPE_CHECKING:
    from ...models.base.family import Family, GroupSpec, Pixels, SymbolPort
    from ..media.types import Frame, Source

SIZE_BAND = 0.99  # the search stops at a file of at least this part of its size target; promised are 0.98
PSNR_BAND = 0.05  # the search stops at most so many dB above the target; promised are 0.1
BEST_PSNR = 100.0  # the PSNR that a frame without error counts with
SAMPLE_BYTES = 128 << 20  # largest sample of frames that a search holds in memory
SAMPLE_GROUPS = 6  # groups of the sample, spread over the source
LENGTH_BYTES = 8  # the length fields of a group grow with its symbols, by at most so much
_PASSES = 16  # most encodes of the whole source: bisection alone takes thirteen


@dataclass
class QualitySearch:
    """The closest known fine qualities on both sides of a target.  `low` is below it in size or PSNR, `high` above."""

    low: int = -1
    high: int = MAX_FINE + 1
    low_value: float = -math.inf
    high_value: float = math.inf
    seen: dict[int, float] = field(default_factory=dict)
    _last_low: bool | None = None
    creep: int = 0  # how far the same side moved twice in a row, signed; else 0

    def add(self, quality: int, value: float, wanted: float) -> None:
        self.seen[quality] = value
        if value <= wanted and quality > self.low:
            self.creep = quality - self.low if self._last_low else 0
            self.low, self.low_value, self._last_low = quality, value, True
        elif value > wanted and quality < self.high:
            self.creep = quality - self.high if self._last_low is False else 0
            self.high, self.high_value, self._last_low = quality, value, False

    @property
    def closed(self) -> bool:
        return self.high - self.low <= 1

    @property
    def bracketed(self) -> bool:
        return self.low >= 0 and self.high <= MAX_FINE

    def between(self, aim: float) -> int:
        """A fine quality strictly between both sides, interpolated.

        Where only one side creeps closer, it is twice the last step ahead of that side, so that the other moves too.
        """
        share = (aim - self.low_value) / max(self.high_value - self.low_value, 1e-9)
        guess = self.low + round(min(max(share, 0.02), 0.98) * (self.high - self.low))
        if self.creep > 0:
            guess = max(guess, min(self.low + 2 * self.creep, (self.low + self.high) // 2))
        elif self.creep < 0:
            guess = min(guess, max(self.high + 2 * self.creep, (self.low + self.high) // 2))
        return min(max(guess, self.low + 1), self.high - 1)

    def outward(self, step: int) -> int:
        """A fine quality towards the side that is still open."""
        return min(self.low + step, MAX_FINE) if self.low >= 0 else max(self.high - step, 0)


def find(
    measure: Callable[[int], float], wanted: float, band: tuple[float, float], start: int, passes: int
) -> QualitySearch:
    """Call `measure` until a value lies within `band`, the search closes, or the passes are used up.

    `measure` takes a fine quality and should grow with it; where it does not, some crossing is found.  `wanted` is
    where a value counts as above the target; the first guesses are `start` and growing steps towards the target.
    """
    search = QualitySearch()
    quality, step = start, 300
    for _ in range(passes):
        value = measure(quality)
        search.add(quality, value, wanted)
        if band[0] <= value <= band[1] or search.closed:
            break
        if search.bracketed:
            quality = search.between(sum(band) / 2)
        else:
            quality, step = search.outward(step), 3 * step
            if quality in search.seen:
                break
    return search


def encode_target(source: Source, sink: BinaryIO, settings: EncoderSettings) -> Encoded:
    """Encode to `sink` at the quality of the options, or at the one that meets their target.

    A target out of reach is met as nearly as possible, with a warning.
    """
    options = settings.options
    if isinstance(settings.family, Fits):
        return _encode_fitting(source, sink, settings)
    if options.psnr is not None:
        return _encode_psnr(source, sink, settings, options.psnr)
    size = _size_wanted(source, settings)
    return encode_stream(source, sink, settings) if size is None else _encode_size(source, sink, settings, size)


def _size_wanted(source: Source, settings: EncoderSettings) -> int | None:
    """Bytes that the file should have, from `size` or `bpp`; None where neither is given."""
    options = settings.options
    if options.size is not None or options.bpp is None:
        return None if options.size is None else int(options.size)
    return int(options.bpp * source.width * source.height * _count_frames(source, settings) / 8)


def _count_frames(source: Source, settings: EncoderSettings) -> int:
    """Frames that will be encoded, counted by reading them where only that is sure."""
    start, stop = bounds(settings.options.frames)
    if source.kind == "picture":
        return 1
    return max(1, sum(1 for _ in source.frames(start, stop)))


class _Attempts:
    """Whole encodes kept on disk when large; the best so far is what the sink gets."""

    def __init__(self, source: Source, settings: EncoderSettings) -> None:
        self._source = source
        self._settings = settings
        self._best: tuple[int, Encoded, BinaryIO] | None = None
        self._last: tuple[int, Encoded, BinaryIO] | None = None

    def encode(self, quality: int, better: Callable[[Encoded, BinaryIO], float]) -> float:
        """Encode at a fine quality and return `better(...)`'s value; kept by `keep`."""
        file = open_spool()
        encoded = encode_stream(self._source, file, self._settings.at(quality))
        value = better(encoded, file)
        if self._last is not None and self._last is not self._best:
            self._last[2].close()
        self._last = (quality, encoded, file)
        return value

    def keep(self) -> None:
        """The last attempt is the best so far."""
        if self._best is not None and self._best is not self._last:
            self._best[2].close()
        self._best = self._last

    def deliver(self, sink: BinaryIO) -> Encoded:
        if self._best is None:
            raise ParameterError("nothing was encoded")
        _, encoded, file = self._best
        file.seek(0)
        shutil.copyfileobj(file, sink, 1 << 20)
        file.close()
        if self._last is not None:
            self._last[2].close()
        return encoded


def _encode_size(source: Source, sink: BinaryIO, settings: EncoderSettings, size: int) -> Encoded:
    """The largest file of at most `size` bytes."""
    sample = SourceSample(source, settings)
    wanted = math.log(max(size, 1))
    band = (math.log(max(SIZE_BAND * size, 1)), wanted)
    start = fine(defaults.QUALITY)
    if sample.worthwhile:
        start = _closest(find(lambda q: math.log(sample.size(q)), wanted, band, start, 14))
    attempts = _Attempts(source, settings)
    best = -1

    def measure(quality: int) -> float:
        nonlocal best
        value = attempts.encode(quality, lambda encoded, _: math.log(encoded.bytes))
        if (value <= wanted and quality > best) or (best < 0 and value > wanted and quality == 0):
            attempts.keep()
            best = quality
        return value

    search = find(measure, wanted, band, start, _PASSES)
    if search.low < 0 and 0 not in search.seen:
        measure(0)
    encoded = attempts.deliver(sink)
    if encoded.bytes > size:
        encoded.warnings.append(f"the target of {size} bytes cannot be reached; quality 0 takes {encoded.bytes}")
    elif best == MAX_FINE and encoded.bytes < SIZE_BAND * size:
        encoded.warnings.append(f"the target of {size} bytes is beyond quality 100, which takes {encoded.bytes}")
    return encoded


class _Silent:
    """Stands for a family and puts no symbols: what is left of the file is everything else."""

    def __init__(self, family: Family) -> None:
        self.tables, self.name = family.tables, family.name
        self.default_gop, self.cost = family.default_gop, family.cost

    def encode(self, frames: Pixels, spec: GroupSpec, port: SymbolPort) -> None:
        pass


def _encode_fitting(source: Source, sink: BinaryIO, settings: EncoderSettings) -> Encoded:
    """Encode once with a family that meets targets itself."""
    family, options = settings.family, settings.options
    assert isinstance(family, Fits)
    size = _size_wanted(source, settings)
    try:
        if options.psnr is not None:
            if not family.meets_psnr:
                raise ParameterError(f"codec {family.name} fits once: give a size, bpp or quality, not a psnr")
            return encode_stream(source, sink, replace(settings, family=family.fitting(psnr=options.psnr)))
        if size is None:
            return encode_stream(source, sink, settings)
        return _fit_into(source, sink, settings, size)
    except FitFailed as error:
        raise ParameterError(f"{source.name}: {error}") from error


def _fit_into(source: Source, sink: BinaryIO, settings: EncoderSettings, size: int) -> Encoded:
    """A file of at most `size` bytes; the family gets what container and metadata leave."""
    options = settings.options
    silent: Any = _Silent(settings.family)
    lenient = replace(options.limits, free=options.limits.group)  # no symbols here to justify the pixels
    alone = replace(settings.choosing(limits=lenient, progress=None), family=silent, make_port=BitMeter)
    beside = encode_stream(source, io.BytesIO(), alone)
    groups = -(-beside.frames // group_length(options.gop, settings.family, beside.header, options.limits))
    frame_bytes = max(1.0, (size - beside.bytes - LENGTH_BYTES * groups) / beside.frames)
    rate = 8 * frame_bytes / (source.width * source.height)
    assert isinstance(settings.family, Fits)
    family = settings.family.fitting(frame_bytes=frame_bytes)
    encoded = encode_stream(source, sink, replace(settings, family=family, quality=quality_of(rate)))
    if encoded.bytes > size:
        encoded.warnings.append(f"the target of {size} bytes cannot be reached; this file has {encoded.bytes}")
    return encoded


def _encode_psnr(source: Source, sink: BinaryIO, settings: EncoderSettings, psnr: float) -> Encoded:
    """The smallest file whose decoded PSNR is at least `psnr`."""
    wanted, band = psnr - 1e-9, (psnr, psnr + PSNR_BAND)
    sample = SourceSample(source, settings)
    start = fine(defaults.QUALITY)
    if sample.worthwhile:
        start = _closest(find(sample.psnr, wanted, band, start, 14), above=True)
    attempts = _Attempts(source, settings)
    best, reached = MAX_FINE + 1, 0.0

    def measure(quality: int) -> float:
        nonlocal best, reached
        value = attempts.encode(quality, lambda _, file: file_psnr(source, file, settings))
        if (value >= psnr and quality < best) or (best > MAX_FINE and quality == MAX_FINE):
            attempts.keep()
            best, reached = quality, value
        return value

    search = find(measure, wanted, band, start, _PASSES)
    if search.high > MAX_FINE and MAX_FINE not in search.seen:
        measure(MAX_FINE)
    encoded = attempts.deliver(sink)
    if reached < psnr:
        encoded.warnings.append(f"the target of {psnr:g} dB cannot be reached; quality 100 gives {reached:.2f} dB")
    return encoded


def _closest(search: QualitySearch, above: bool = False) -> int:
    """The known fine quality next to the target, on the wanted side when that side is known."""
    if above:
        return search.high if search.high <= MAX_FINE else max(search.low, 0)
    return search.low if search.low >= 0 else min(search.high, MAX_FINE)


def frame_psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """PSNR in dB of two frames (H, W, C), 8 bit, at most BEST_PSNR."""
    error = a.astype(np.float32) - b.astype(np.float32)
    mean = float(np.mean(np.square(error), dtype=np.float64))
    return BEST_PSNR if mean == 0 else min(BEST_PSNR, 10 * math.log10(255**2 / mean))


def file_psnr(source: Source, file: BinaryIO, settings: EncoderSettings) -> float:
    """Mean PSNR over the frames of an encoded file against its source."""
    file.seek(0)
    options = settings.options
    originals = source.frames(*bounds(options.frames))
    decoding = DecodeOptions(decoder=options.decoder, device=options.device, limits=options.limits)
    decoded = decode_groups(PipeReader(file, options.limits), decoding)
    values = [frame_psnr(next(originals).pixels, pixels) for group in decoded for pixels in group.pixels]
    return float(np.mean(values))


class SourceSample:
    """A few groups of the source, held in memory, that stand for all of it.

    `worthwhile` is False when the source is no longer than the sample: then the search runs on the source itself.
    """

    def __init__(self, source: Source, settings: EncoderSettings) -> None:
        options = settings.options
        header = make_header(source, settings, 0, 0)
        length = group_length(options.gop, settings.family, header, options.limits)
        room = SAMPLE_BYTES // (source.width * source.height * source.channels * length)
        count = max(1, min(SAMPLE_GROUPS, room))
        self._total = 1 if header.still else _count_frames(source, settings)
        self._settings = settings.choosing(frames=None, metadata=False, progress=None, gop=length)
        groups = -(-self._total // length)
        self.worthwhile = groups > 2 * count
        self._frames: list[Frame] = []
        if self.worthwhile:
            picked = [(2 * k + 1) * groups // (2 * count) for k in range(count)]
            self._frames = list(_pick(source.frames(*bounds(options.frames)), {k: length for k in picked}))
            self._source = source_of(source, self._frames)
            self._fixed = self._fixed_bytes(source, settings)

    def _fixed_bytes(self, source: Source, settings: EncoderSettings) -> int:
        """Bytes that do not grow with the clip: header and metadata."""
        if not settings.options.metadata:
            return 50
        details = pack_details(source.media.details)
        return 50 + sum(len(block or b"") for block in (source.icc, source.exif, source.audio, details))

    def size(self, quality: int) -> float:
        """Bytes that the whole file would take, from the cost of the sample's symbols; nothing is range coded."""
        settings = replace(self._settings, quality=quality, make_port=BitMeter)
        measured = encode_stream(self._source, io.BytesIO(), settings)
        coded = sum(measured.sizes[kind] for kind in ("GRUP", "ALPH", "dgst") if kind in measured.sizes)
        return self._fixed + coded * self._total / len(self._frames)

    def psnr(self, quality: int) -> float:
        file = io.BytesIO()
        encode_stream(self._source, file, self._settings.at(quality))
        return file_psnr(self._source, file, self._settings)


def _pick(frames: Iterator[Frame], groups: dict[int, int]) -> Iterator[Frame]:
    """The frames of the groups whose numbers are the keys."""
    length = next(iter(groups.values()))
    for number, frame in enumerate(frames):
        if number // length in groups:
            yield frame


def source_of(source: Source, frames: list[Frame]) -> Source:
    """Frames in memory with the description of `source`."""
    from ..media.types import Source as MediaSource

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        return (replace(frame) for frame in frames[start:stop])

    info = replace(source.media, audio=None)
    return MediaSource(source.name, info, read, frame_count=len(frames))


__all__ = ["Group", "encode_target", "file_psnr", "frame_psnr"]
