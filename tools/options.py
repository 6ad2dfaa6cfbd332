"""Options, argument types and output that several commands share."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar

from tessera.codec.errors import ParameterError
from tessera.codec.limits import DEFAULT_LIMITS
from tessera.codec.options import DecodeOptions, EncodeOptions, Progress, parse_rate, parse_size
from tessera.codec.ranges import parse_range

ENGINES = ("local", "ray")  # of jobs, see `tools/engines`
OptionValue = int | float | bool | str
Chosen = TypeVar("Chosen", EncodeOptions, DecodeOptions)
Parsed = TypeVar("Parsed")

_LIMITS = {
    "pixels": "pixels per frame",
    "group": "pixels per group",
    "frames": "frames per file",
    "chunk": "bytes per chunk",
    "free": "pixels per group whatever its bytes",
    "expansion": "pixels per byte beyond these",
    "array": "pixels decoded into one array",
    "lost": "lost frames to fill in",
    "memory": "bytes of memory to decode a group",
    "work": "multiplications to decode a group",
}


def argument(parse: Callable[[str], Parsed]) -> Callable[[str], Parsed]:
    """An argument type from a parser of the codec's."""

    def parsed(text: str) -> Parsed:
        try:
            return parse(text)
        except ParameterError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


size = argument(parse_size)
frame_range = argument(parse_range)
rate = argument(parse_rate)


def key_value(text: str) -> tuple[str, OptionValue]:
    """(key, value) from `key=value`; the value becomes an int, a float, a bool or stays text."""
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not key=value")
    return key, _value(value)


def _value(text: str) -> OptionValue:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def number(low: float, high: float) -> Callable[[str], float]:
    """An argument type: a float in low..high, both included."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not in {low:g}..{high:g}")
        return value

    return parse


def chosen(kind: type[Chosen], args: argparse.Namespace, **more: Any) -> Chosen:
    """The options that the arguments of the same names say, and `more`."""
    names = [field.name for field in dataclasses.fields(kind)]
    return kind(**{name: getattr(args, name) for name in names if hasattr(args, name)}, **more)


def add_rate(parser: argparse.ArgumentParser) -> None:
    """--quality, --bpp, --size and --psnr, of which at most one may be given."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--quality", type=number(0, 100), metavar="0..100", help="default 50; higher is better")
    group.add_argument("--bpp", type=number(0.001, 100), metavar="X", help="bits per pixel to come close to")
    group.add_argument("--size", type=size, metavar="200KB", help="largest size of the file")
    group.add_argument("--psnr", type=number(1, 99), metavar="DB", help="least quality, RGB PSNR in dB")


class _Limit(argparse.Action):
    """Sets one field of `limits`."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        namespace.limits = dataclasses.replace(namespace.limits, **{self.dest.removeprefix("limit_"): values})


def amount(text: str) -> int:
    """A whole number from `65536`, `64Ki`, `16GiB` (1 << 34), `3M` or `2e9`."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?(?:e\d+)?)([kKMGTP]?)(i?)B?", text.strip())
    if not match or (match[3] and not match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number like 65536, 16GiB or 3M")
    unit: int = (1024 if match[3] else 1000) ** " KMGTP".index(match[2].upper() or " ")
    number = round(float(match[1]) * unit)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is less than 1")
    return number


def add_limits(parser: argparse.ArgumentParser) -> None:
    """--limit-NAME for every field of `Limits`."""
    parser.set_defaults(limits=DEFAULT_LIMITS)
    group = parser.add_argument_group(
        "limits",
        "a file beyond one of them is refused before memory is taken, see SECURITY.md; units: 64Ki, 3M, 16GiB",
    )
    for name, text in _LIMITS.items():
        default = getattr(DEFAULT_LIMITS, name)
        group.add_argument(
            f"--limit-{name}",
            action=_Limit,
            type=amount,
            default=argparse.SUPPRESS,
            metavar="N",
            help=f"{text} (default 2^{default.bit_length() - 1})",
        )


def add_common(parser: argparse.ArgumentParser) -> None:
    """--frames, --device, --force, --json and the limits."""
    add_selection(parser)
    parser.add_argument("--force", action="store_true", help="overwrite the output if it exists")
    add_json(parser)
    add_limits(parser)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """--frames and --device."""
    parser.add_argument("--frames", type=frame_range, metavar="A:B", help="frames A up to but not including B")
    add_device(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cpu", metavar="cpu|cuda")


def add_engine(parser: Any) -> None:
    """--engine and --address."""
    parser.add_argument("--engine", choices=ENGINES, default="local", help="processes of this machine, or Ray")
    parser.add_argument("--address", metavar="HOST:PORT", help="of a Ray cluster, or auto (default: of this machine)")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def print_warnings(warnings: list[str]) -> None:
    for warning in warnings:
        say(f"tessera: warning: {warning}", sys.stderr)


def print_summary(target: str, text: str) -> None:
    """One line about what was written: on stderr where the file itself went to stdout."""
    say(f"{target}: {text}", sys.stderr if target == "-" else sys.stdout)


def say(line: str, stream: TextIO | None) -> None:
    """Print to a standard stream; nothing where it is closed (`print` would take stdout for a closed stderr)."""
    if stream is not None:
        print(line, file=stream)


def print_json(value: Any) -> None:
    """Print one JSON object; dataclasses become objects, bytes hexadecimal, fractions and paths text."""
    print(json.dumps(_plain(value), indent=2))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


@contextmanager
def progress_bar(label: str, *, quiet: bool = False) -> Iterator[Progress | None]:
    """A bar on stderr while the block runs; None when stderr is no terminal or `quiet`."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def rate_bar(noun: str) -> Iterator[Callable[[int, int, int], None]]:
    """A bar on stderr with the rate and the time left: takes what is done, how much there is, how much failed."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(noun, total=None)

        def watch(done: int, total: int, failed: int) -> None:
            rate = f", {bar.tasks[0].speed:.1f} per second" if bar.tasks[0].speed else ""
            trouble = f", {failed:,} failed" if failed else ""
            bar.update(task, completed=done, total=total, description=f"{noun}{rate}{trouble}")

        yield watch


@contextmanager
def fit_bar(*, quiet: bool = False) -> Iterator[Callable[[Any], None] | None]:
    """A bar on stderr for codecs that fit a network: takes FitStatus; None when stderr is no terminal or `quiet`."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("fitting", total=1.0)

        def watch(status: Any) -> None:
            size = f", {status.bits / 8000:.1f} KB" if status.bits else ""
            bar.update(task, completed=status.part, description=f"fitting, {status.psnr:.2f} dB{size}")

        yield watch


def text_table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Cells in aligned columns; the first `left` columns are set flush left, the others flush right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def count(number: int, noun: str) -> str:
    """`1 frame`, `20 frames`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def need_packages(packages: Sequence[str], extra: str) -> None:
    """Raise UnsupportedError unless all `packages` (import names) are installed; `extra` brings them."""
    from tessera.codec.errors import UnsupportedError

    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UnsupportedError(f"not installed: {', '.join(missing)}; pip install '.[{extra}]' brings what is needed")
