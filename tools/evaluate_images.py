"""Measures picture codecs: one row a picture and setting, from the bytes of the file and the pixels it decodes to."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tessera.codec.errors import FormatError, ParameterError
from tessera.tools import metrics
from tessera.tools.options import Progress
from tessera.tools.peers import PEERS, Peer

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".ppm"}


@dataclass(frozen=True)
class Row:
    """One measurement.

    version   of the codec and its libraries (for a family: of the package and its weights)
    setting   such as `quality=50`
    sha256    of the picture's file, first 12 hexadecimal digits
    bpp       bits of the whole file for each pixel
    psnr      dB, RGB, 8 bits
    msssim    0..1, None below 161 pixels
    encode_s, decode_s   seconds, wall, one run
    """

    codec: str
    version: str
    setting: str
    image: str
    sha256: str
    width: int
    height: int
    bytes: int
    bpp: float
    psnr: float
    msssim: float | None
    encode_s: float
    decode_s: float

    @property
    def key(self) -> tuple[str, ...]:
        return (self.codec, self.version, self.setting, self.image, self.sha256)


def find_pictures(paths: Sequence[Path]) -> list[Path]:
    """The pictures that `paths` name; a folder stands for the pictures directly in it, by name."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(item for item in path.iterdir() if item.suffix.lower() in SUFFIXES)
        elif path.exists():
            found.append(path)
        else:
            raise ParameterError(f"{path} does not exist")
    if not found:
        raise ParameterError("no picture in " + ", ".join(map(str, paths)))
    return list(dict.fromkeys(found))


def subject(name: str, qualities: Sequence[float], device: str) -> Peer:
    """The codec `name`: one of `PEERS`, or a family of this package at `qualities`."""
    if name in PEERS:
        PEERS[name].version()  # says now, not after an hour, that a library is missing
        return PEERS[name]
    from tessera.models.registry import FAMILIES

    if name not in FAMILIES:
        raise ParameterError(f"no codec {name!r}; there are {', '.join([*FAMILIES, *PEERS])}")
    return family(name, qualities, device)


def family(name: str, qualities: Sequence[float], device: str) -> Peer:
    """A family of this package as a peer of the others."""
    import tessera
    from tessera.codec import weights

    weights_id = weights.load(name, device=device)[1].hex()
    version = f"tessera {tessera.__version__} weights {weights_id}"

    def encode(pixels: metrics.Pixels, quality: float) -> bytes:
        return bytes(tessera.encode(pixels, codec=name, quality=quality, device=device))

    def decode(data: bytes) -> metrics.Pixels:
        return np.asarray(tessera.decode(data, device=device))

    return Peer(name, "quality", tuple(qualities), f"weights {weights_id}", encode, decode, lambda: version)


def measure(pictures: Sequence[Path], codecs: Sequence[Peer], file: Path, progress: Progress | None) -> list[Row]:
    """Every codec at every setting on every picture; new rows are added to the CSV `file` as they come."""
    known = {row.key: row for row in read_rows(file)}
    total = len(pictures) * sum(len(codec.settings) for codec in codecs)
    rows: list[Row] = []
    with RowWriter(file) as writer:
        for path in pictures:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
            pixels = None
            for codec in codecs:
                for setting in codec.settings:
                    row = known.get((codec.name, codec.version(), _setting(codec, setting), path.as_posix(), digest))
                    if row is None:
                        pixels = _read(path) if pixels is None else pixels
                        row = _measure_one(codec, setting, path, digest, pixels)
                        writer.add(row)
                    rows.append(row)
                    if progress:
                        progress(len(rows), total)
    return rows


def _measure_one(codec: Peer, setting: float, path: Path, digest: str, pixels: metrics.Pixels) -> Row:
    start = time.perf_counter()
    data = codec.encode(pixels, setting)
    middle = time.perf_counter()
    decoded = codec.decode(data)
    end = time.perf_counter()
    height, width = pixels.shape[:2]
    return Row(
        codec=codec.name,
        version=codec.version(),
        setting=_setting(codec, setting),
        image=path.as_posix(),
        sha256=digest,
        width=width,
        height=height,
        bytes=len(data),
        bpp=8 * len(data) / (width * height),
        psnr=metrics.psnr(pixels, decoded),
        msssim=metrics.ms_ssim(pixels, decoded),
        encode_s=round(middle - start, 5),
        decode_s=round(end - middle, 5),
    )


def _setting(codec: Peer, setting: float) -> str:
    return f"{codec.parameter}={setting:g}"


def _read(path: Path) -> metrics.Pixels:
    """uint8 (H, W, 3); alpha is dropped and EXIF orientation applied."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except OSError as error:
        raise FormatError(f"{path}: not a picture that Pillow reads ({error})") from error


class RowWriter:
    """Adds rows to a CSV file, each written out at once; a new file gets the header."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", newline="", encoding="utf-8")
        self._csv = csv.writer(self._file)
        if self._file.tell() == 0:
            self._csv.writerow(field.name for field in dataclasses.fields(Row))

    def add(self, row: Row) -> None:
        self._csv.writerow(dataclasses.astuple(row))
        self._file.flush()

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_rows(file: Path) -> list[Row]:
    """The rows of a CSV file that `RowWriter` wrote; a last line cut short by an interruption is left out."""
    if not file.exists():
        return []
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole, encoding="utf-8")
    reader = csv.DictReader(whole.splitlines())
    if whole and reader.fieldnames != [field.name for field in dataclasses.fields(Row)]:
        raise FormatError(f"{file}: not a table that this version of `tessera evaluate` wrote")
    return [_row(item) for item in reader]


def _row(item: dict[str, str]) -> Row:
    return Row(
        codec=item["codec"],
        version=item["version"],
        setting=item["setting"],
        image=item["image"],
        sha256=item["sha256"],
        width=int(item["width"]),
        height=int(item["height"]),
        bytes=int(item["bytes"]),
        bpp=float(item["bpp"]),
        psnr=float(item["psnr"]),
        msssim=float(item["msssim"]) if item["msssim"] else None,
        encode_s=float(item["encode_s"]),
        decode_s=float(item["decode_s"]),
    )
