"""Options that several studies share, and the types of their values."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tessera.tools import options

Value = TypeVar("Value")

PICTURE_CODECS = "; also jpegxl, hevc, vvc, compressai:NAME[@Q]"  # end of the help on --codecs


def names(text: str) -> tuple[str, ...]:
    """`A,B` -> ("A", "B"), each once."""
    return tuple(dict.fromkeys(name for name in text.split(",") if name))


def numbers(low: float, high: float) -> Callable[[str], tuple[float, ...]]:
    """An argument type: numbers in low..high with commas between them."""
    return lambda text: tuple(options.number(low, high)(item) for item in names(text))


def rising(low: float, high: float) -> Callable[[str], tuple[float, ...]]:
    """The same, put in rising order."""
    return lambda text: tuple(sorted(numbers(low, high)(text)))


def only(several: Callable[[str], tuple[Value, ...]]) -> Callable[[str], Value]:
    """An argument type: the one value of a list that must have one."""

    def parse(text: str) -> Value:
        found = several(text)
        if len(found) != 1:
            raise argparse.ArgumentTypeError(f"{text!r}: give one, not {len(found)}")
        return found[0]

    return parse


def size(text: str) -> tuple[int, int]:
    """(width, height) from `320x180`."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size like 320x180")
    return int(match[1]), int(match[2])


def listed(values: Sequence[object]) -> str:
    """`1,2,3` for help texts."""
    return ",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)


def add_paths(parser: argparse.ArgumentParser, nargs: int | str, metavar: str, text: str) -> None:
    parser.add_argument("paths", nargs=nargs, type=Path, metavar=metavar, help=text)


def no_paths(parser: argparse.ArgumentParser) -> None:
    """For studies that make their own clips."""
    parser.set_defaults(paths=[])


def add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, type=Path, metavar="REPORT/", help="folder for the report")


def add_codecs(parser: argparse.ArgumentParser, default: tuple[str, ...], others: str = "") -> None:
    parser.add_argument(
        "--codecs", type=names, default=default, metavar="A,B@key=value",
        help=f"codec families and other codecs, with options{others} (default: {listed(default)})",
    )  # fmt: skip


def add_qualities(parser: argparse.ArgumentParser, default: tuple[float, ...]) -> None:
    parser.add_argument(
        "--qualities", type=numbers(0, 100), default=default, metavar="5,15,...",
        help=f"qualities of codec families, 0..100; other codecs have their own settings (default: {listed(default)})",
    )  # fmt: skip


def add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, metavar="N", help="measurements at a time (default: number of CPUs)")
    options.add_engine(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cpu", metavar="cpu|cuda", help="where codec families run (default: cpu)")


def add_rate_options(
    parser: argparse.ArgumentParser,
    codecs: tuple[str, ...],
    qualities: tuple[float, ...],
    rates: tuple[float, ...],
    pictures: int,
    others: str,
) -> None:
    """Add the options of the studies of rate and quality; the arguments after `parser` are their defaults."""
    add_out(parser)
    add_codecs(parser, codecs, others)
    add_qualities(parser, qualities)
    parser.add_argument(
        "--references", type=names, default=(), metavar="A,B",
        help="codecs and curves that BD-rates are computed against (default: all codecs)",
    )  # fmt: skip
    parser.add_argument(
        "--curves", type=Path, action="append", default=[], metavar="CSV",
        help="file of curves of the same sources, columns codec,bpp,psnr_rgb[,msssim_db]; those named in "
        "--references are used; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--pictures", type=int, default=pictures, metavar="N",
        help=f"sources that the slider shows (default: {pictures}; 0: no slider)",
    )  # fmt: skip
    parser.add_argument(
        "--rates", type=numbers(0.001, 100), default=rates, metavar="0.2,0.7",
        help=f"rates that the slider shows, bits per pixel (default: {listed(rates)})",
    )  # fmt: skip
    add_jobs(parser)
    add_device(parser)


def add_clip_options(
    parser: argparse.ArgumentParser, codec: str, quality: float, training_clips: int, epochs: int, clips: int, use: str
) -> None:
    """Add the options of the studies that make their clips; the arguments after `parser` are their defaults.

    `use` says what the test clips are for.
    """
    no_paths(parser)
    add_out(parser)
    parser.add_argument(
        "--codecs", dest="codec", type=only(names), default=codec, metavar="NAME@key=value",
        help=f"codec family of the clips' files (default: {codec})",
    )  # fmt: skip
    add_quality(parser, quality, "quality of the clips' files, 0..100")
    parser.add_argument(
        "--clips", dest="training_clips", type=int, default=training_clips, metavar="N",
        help=f"training clips (default: {training_clips})",
    )  # fmt: skip
    add_epochs(parser, epochs, "passes over the training clips")
    parser.add_argument(
        "--images", dest="clips", type=int, default=clips, metavar="N", help=f"{use} (default: {clips})"
    )


def add_quality(parser: argparse.ArgumentParser, default: float, text: str) -> None:
    parser.add_argument(
        "--qualities", dest="quality", type=only(numbers(0, 100)), default=default, metavar="Q",
        help=f"{text} (default: {default:g})",
    )  # fmt: skip


def add_epochs(parser: argparse.ArgumentParser, default: int, text: str) -> None:
    parser.add_argument("--epochs", type=int, default=default, metavar="N", help=f"{text} (default: {default})")


def add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images", type=int, default=0, metavar="N", help="labelled test pictures to use (default: 0, all of them)"
    )
