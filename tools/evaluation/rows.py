"""Measurements as rows: what one holds, and the CSV file that keeps them between runs."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tessera.codec.errors import FormatError


@dataclass(frozen=True)
class Row:
    """One codec at one setting on one picture or clip.

    version   of the codec and its libraries (for a family: of the package and its weights), and of its fixed settings
    setting   such as `quality=50`
    source    the name of the picture or clip
    sha256    of its file, first 12 hexadecimal digits
    bpp       bits of the whole file for each pixel of each frame
    psnr      dB, RGB, 8 bits; mean over the frames, as are the other figures of quality
    psnr_yuv  dB, YUV 6:1:1
    msssim    0..1, None below 161 pixels; of a clip, over every `--msssim-every`-th frame
    lpips     None where it is not measured
    encode_s, decode_s   CPU seconds of one run (all threads of the process)
    """

    codec: str
    version: str
    setting: str
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
    def key(self) -> tuple[str, ...]:
        """What makes it the same measurement: the source by its content, not its place."""
        return (self.codec, self.version, self.setting, self.sha256)

    @property
    def value(self) -> float:
        """The number of the setting."""
        return float(self.setting.partition("=")[2])


_FIELDS = [field.name for field in dataclasses.fields(Row)]
_TEXT = {"codec", "version", "setting", "source", "sha256"}
_WHOLE = {"frames", "width", "height", "bytes"}


class RowFile:
    """The CSV file `path`; each row is written out at once, so an interrupted run loses none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = read_rows(path)
        self._stream = path.open("a", newline="", encoding="utf-8")
        self._csv = csv.writer(self._stream, lineterminator="\n")
        if self._stream.tell() == 0:
            self._csv.writerow(_FIELDS)

    def add(self, row: Row) -> None:
        self._csv.writerow(_cells(row))
        self._stream.flush()
        self.rows.append(row)

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> RowFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def rewrite(path: Path, rows: Iterable[Row]) -> None:
    """Write the file anew, sorted, without the rows that a newer measurement of the same thing replaces."""
    latest = {(row.codec, row.setting, row.sha256): row for row in rows}
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_FIELDS)
        writer.writerows(_cells(row) for row in sorted(latest.values(), key=_order))
    part.replace(path)


def _order(row: Row) -> tuple[str, str, float]:
    return row.codec, row.source, row.bpp


def _cells(row: Row) -> Sequence[object]:
    return [round(value, 6) if isinstance(value, float) else value for value in dataclasses.astuple(row)]


def read_rows(path: Path) -> list[Row]:
    """The rows of a file that `RowFile` wrote; a last line cut short by an interruption is taken off the file."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    reader = csv.DictReader(whole.splitlines())
    if whole and reader.fieldnames != _FIELDS:
        raise FormatError(f"{path}: not a table that this version of `tessera evaluate` wrote; move it away")
    return [_row(item) for item in reader]


def _row(item: dict[str, str]) -> Row:
    def value(name: str) -> object:
        text = item[name]
        if name in _TEXT:
            return text
        return int(text) if name in _WHOLE else (float(text) if text else None)

    return Row(**{name: value(name) for name in _FIELDS})  # type: ignore[arg-type]  # by name, as `_FIELDS` has them
