"""`tessera bulk encode|decode|tokens|verify SRC... DST`: one thing done to many files."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tessera.codec.options import DecodeOptions, EncodeOptions
from tessera.tools import options
from tessera.tools.commands import decode, encode, tokens

SECONDS = 30.0  # between two lines of progress where there is no terminal
PACKAGES = ("pyarrow", "fsspec")


def configure(parser: argparse.ArgumentParser) -> None:
    operations = parser.add_subparsers(metavar="OPERATION", required=True)
    for name, (summary, add_options, make) in OPERATIONS.items():
        child = operations.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        child.add_argument(
            "sources", nargs="+", metavar="SRC",
            help="paths or URLs: folders, patterns with * or ?, manifests (csv, parquet, jsonl), tar shards, files",
        )  # fmt: skip
        child.add_argument("target", metavar="DST", help="folder for outputs and manifest.parquet: a path or a URL")
        add_options(child)
        _add_job(child, outputs=name != "verify")
        child.set_defaults(make=make)


def _add_job(parser: argparse.ArgumentParser, *, outputs: bool) -> None:
    group = parser.add_argument_group("the job")
    options.add_engine(group)
    group.add_argument("--workers", type=int, metavar="N", help="worker processes (default: one per core)")
    group.add_argument("--threads", type=int, default=1, metavar="N", help="threads of each worker")
    group.add_argument("--column", metavar="NAME", help="column of manifests that names the files")
    if outputs:
        group.add_argument("--shards", type=int, metavar="N", help="write tar shards of N items, not single files")
    group.add_argument("--force", action="store_true", help="do again what an earlier run has finished")
    options.add_json(parser)
    options.add_limits(parser)


def _add_encode(parser: argparse.ArgumentParser) -> None:
    encode.add_options(parser)
    options.add_selection(parser)


def _add_decode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--picture", type=_suffix, default=".png", metavar="SUFFIX", help="format of pictures")
    parser.add_argument("--clip", type=_suffix, default=".mp4", metavar="SUFFIX", help="format of clips")
    decode.add_options(parser)
    options.add_selection(parser)


def _add_tokens(parser: argparse.ArgumentParser) -> None:
    tokens.add_options(parser)
    options.add_selection(parser)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    options.add_device(parser)


def _suffix(text: str) -> str:
    """`.png` from `png` or `.png`."""
    from tessera.codec.media import WRITTEN_SUFFIXES

    name = text.lower().lstrip(".")
    if name not in WRITTEN_SUFFIXES:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(WRITTEN_SUFFIXES)}")
    return f".{name}"


def _make_encode(args: argparse.Namespace) -> Any:
    from tessera.tools.bulk.operations import Encode

    return Encode(options.chosen(EncodeOptions, args, family_options=encode.family_options(args)))


def _make_decode(args: argparse.Namespace) -> Any:
    from tessera.tools.bulk.operations import Decode

    return Decode(options.chosen(DecodeOptions, args), args.picture, args.clip, args.crf, args.lossless)


def _make_tokens(args: argparse.Namespace) -> Any:
    from tessera.tools.bulk.operations import Tokens

    names = [field.name for field in dataclasses.fields(Tokens) if field.name != "budget"]
    return Tokens(budget=tokens.budget_of(args), **{name: getattr(args, name) for name in names})


def _make_verify(args: argparse.Namespace) -> Any:
    from tessera.tools.bulk.operations import Verify

    return Verify(args.device, args.limits)


OPERATIONS: dict[str, tuple[str, Callable[[Any], None], Callable[[Any], Any]]] = {
    "encode": ("code many pictures and clips as .tsr files or shards of them", _add_encode, _make_encode),
    "decode": ("decode many .tsr files to pictures and clips", _add_decode, _make_decode),
    "tokens": ("read many .tsr files as tokens for a model", _add_tokens, _make_tokens),
    "verify": ("check many .tsr files and decode them", _add_verify, _make_verify),
}


def run(args: argparse.Namespace) -> int:
    """0 if every item is done; 1 if one failed."""
    options.need_packages(PACKAGES, "bulk")
    from tessera.tools.bulk.job import BulkSettings, run_job

    settings = BulkSettings(
        operation=args.make(args),
        sources=args.sources,
        target=args.target,
        shard=getattr(args, "shards", None),
        column=args.column,
        force=args.force,
        engine=args.engine,
        workers=args.workers,
        address=args.address,
        threads=args.threads,
        gpu=args.device.startswith("cuda"),
    )
    with _progress(quiet=args.json) as watch:
        report = run_job(settings, watch)
    if args.json:
        options.print_json(report)
        return 1 if report.failed else 0
    rate = report.done / max(report.seconds, 1e-9)
    print(
        f"{settings.target}: {options.count(report.items, 'item')}: {report.done:,} done, {report.finished:,} finished "
        f"before, {report.failed:,} failed; {report.bytes:,} bytes, {report.seconds:.1f} s, {rate:.2f} items per second"
    )
    for key, reason in report.failures:
        print(f"  {_printable(key)}: {_printable(reason)}")
    if report.failed > len(report.failures):
        print(f"  and {report.failed - len(report.failures):,} more: column error of {report.manifest}")
    return 1 if report.failed else 0


def _printable(text: str) -> str:
    """A name from anywhere, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int, int], None] | None]:
    """A bar on a terminal; else a line on stderr now and then."""
    if quiet or sys.stderr is None:
        yield None
    elif sys.stderr.isatty():
        with options.rate_bar("items") as watch:
            yield watch
    else:
        yield _Lines()


class _Lines:
    """Says how far a job is, how fast it goes and how long it will take."""

    def __init__(self) -> None:
        self.began = self.said = time.monotonic()

    def __call__(self, done: int, total: int, failed: int) -> None:
        now = time.monotonic()
        if now - self.said < SECONDS:
            return
        self.said = now
        rate = done / (now - self.began)
        options.say(
            f"{done:,} of {total:,} items, {failed:,} failed, {rate:.2f} per second, "
            f"{(total - done) / rate / 60:.0f} minutes left",
            sys.stderr,
        )
