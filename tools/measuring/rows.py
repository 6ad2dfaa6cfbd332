"""Measurements as rows: what one holds, and the CSV file that keeps them between runs."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from tessera.codec.errors import FormatError


@dataclass(frozen=True)
class Measured:
    """The fields that every row begins with: a codec at a setting.

    version   versions of the codec and its libraries (of a family: package and weights), and of its fixed settings
    setting   for example `quality=50`
    """

    codec: str
    version: str
    setting: str

    @property
    def subject(self) -> tuple[object, ...]:
        """What the codec was measured on, by its content, not its place."""
        raise NotImplementedError

    @property
    def order(self) -> tuple[str, float]:
        """Where the row stands in its file, after the codec: a name, then the rate."""
        raise NotImplementedError

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the same measurement."""
        return (self.codec, self.version, self.setting, *self.subject)

    @property
    def value(self) -> float:
        """The number of the setting."""
        return float(self.setting.partition("=")[2])


@dataclass(frozen=True)
class Row(Measured):
    """One codec at one setting on one picture or clip.

    source    the name of the picture or clip
    sha256    the first 12 hexadecimal digits of its file's SHA-256
    bpp       bits of the whole file for each pixel of each frame
    psnr      dB, RGB, 8 bits; mean over the frames, as are the other figures of quality
    psnr_yuv  dB, YUV 6:1:1; None where the source is gray
    msssim    0..1, None below 161 pixels; of a clip, over every `--msssim-every`-th frame
    lpips     None where it is not measured
    encode_s, decode_s   CPU seconds of one run (all threads of the process), for a fit of all runs it took
    """

    source: str
    sha256: str
    frames: int
    width: int
    height: int
    bytes: int
    bpp: float
    psnr: float
    psnr_yuv: float | None
    msssim: float | None
    lpips: float | None
    encode_s: float
    decode_s: float

    @property
    def subject(self) -> tuple[object, ...]:
        return (self.sha256,)

    @property
    def order(self) -> tuple[str, float]:
        return self.source, self.bpp


AnyRow = TypeVar("AnyRow", bound=Measured)


class RowFile(Generic[AnyRow]):
    """The CSV file `path` of rows of one `kind`; each row is written out at once, so an interrupted run loses none."""

    def __init__(self, path: Path, kind: type[AnyRow]) -> None:
        self.path, self.kind = path, kind
        self.rows = read_rows(path, kind)
        self._stream = path.open("a", newline="", encoding="utf-8")
        self._csv = csv.writer(self._stream, lineterminator="\n")
        if self._stream.tell() == 0:
            self._csv.writerow(_names(kind))

    def add(self, row: AnyRow) -> None:
        self._csv.writerow(_cells(row))
        self._stream.flush()
        self.rows.append(row)

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> RowFile[AnyRow]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def rewrite(path: Path, rows: Iterable[AnyRow], kind: type[AnyRow]) -> None:
    """Write the file anew, sorted, without the rows that a newer measurement of the same thing replaces."""
    latest = {(row.codec, row.setting, *row.subject): row for row in rows}
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_names(kind))
        writer.writerows(_cells(row) for row in sorted(latest.values(), key=lambda row: (row.codec, *row.order)))
    part.replace(path)


def _names(kind: type[Measured]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _cells(row: Measured) -> Sequence[object]:
    return [round(value, 6) if isinstance(value, float) else value for value in dataclasses.astuple(row)]


def read_rows(path: Path, kind: type[AnyRow]) -> list[AnyRow]:
    """The rows of a file that `RowFile` wrote; a last line cut short by an interruption is taken off the file."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    reader = csv.DictReader(whole.splitlines())
    if whole and reader.fieldnames != _names(kind):
        raise FormatError(f"{path}: not a table that this version of `tessera evaluate` wrote; move it away")
    readers = {field.name: _READERS[str(field.type)] for field in dataclasses.fields(kind)}
    return [kind(**{name: read(item[name]) for name, read in readers.items()}) for item in reader]


_READERS: dict[str, Callable[[str], Any]] = {  # type of a row's field -> how its text is read
    "str": str,
    "int": int,
    "float": float,
    "float | None": lambda text: float(text) if text else None,
}
