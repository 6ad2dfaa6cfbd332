"""`tessera tokens IN.tsr OUT.safetensors`: a file as tokens; `tessera tokens --list`: the ways to reduce them."""

from __future__ import annotations

import argparse
from typing import Any

from tessera.tools import options


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", metavar="IN.tsr", help="the file to read")
    parser.add_argument("target", nargs="?", metavar="OUT.safetensors", help="the file to write")
    add_options(parser)
    parser.add_argument("--list", action="store_true", help="list every method and recipe")
    options.add_common(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """How to reduce tokens; shared with `tessera bulk tokens`."""
    parser.add_argument(
        "--reduce", default="bits", metavar="STEPS", help="a method or recipe, or a chain: 'frames(budget=0.5) | tome'"
    )
    parser.add_argument(
        "--budget", default="1.0", metavar="N", help="64, 25%%, 4x8x8, 4000bits:256 or 0.9:256 (threshold:most)"
    )
    parser.add_argument(
        "--channels", type=int, metavar="N", help="the first N of the latents alone, which is quicker (default: all)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random methods")
    parser.add_argument("--whiten", action="store_true", help="weigh all channels alike when tokens are compared")


def budget_of(args: argparse.Namespace) -> Any:
    """What --budget says."""
    from tessera.codec.errors import ParameterError
    from tessera.models.tokens import parse_budget

    try:
        return parse_budget(args.budget)
    except ValueError as error:
        raise ParameterError(str(error)) from error


def run(args: argparse.Namespace) -> int:
    if args.list:
        return _list(args.json)
    from tessera.codec.errors import ParameterError
    from tessera.codec.reading.tokens import tokens_file

    if args.source is None or args.target is None:
        raise ParameterError("give IN.tsr and OUT.safetensors, or --list")
    report = tokens_file(
        args.source,
        args.target,
        reduce=args.reduce,
        budget=budget_of(args),
        frames=args.frames,
        device=args.device,
        seed=args.seed,
        whiten=args.whiten,
        channels=args.channels,
        force=args.force,
        limits=args.limits,
    )
    if args.json:
        options.print_json(report)
        return 0
    print(
        f"{args.target}: {options.count(report.tokens, 'token')} of {options.count(report.cells, 'cell')}, "
        f"{report.channels} channels, {options.count(report.frames, 'frame')}, {report.seconds:.2f} s"
    )
    return 0


def _list(as_json: bool) -> int:
    from tessera.models.tokens import list_methods
    from tessera.tools.docs.catalogue import systems_of

    entries = list_methods()
    if as_json:
        options.print_json({"methods": [{**entry, "systems": systems_of(entry["rows"])} for entry in entries]})
        return 0
    head = ("name", "primitive", "decided by", "axis", "needs", "budget", "what it keeps", "serves")
    print(options.text_table(head, map(_row, entries), left=len(head)))
    return 0


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    from tessera.tools.docs.catalogue import systems_of

    needs, systems = ", ".join(entry["needs"]) or "-", ", ".join(systems_of(entry["rows"])) or "-"
    names = ("name", "primitive", "mechanism", "axis")
    return (*(entry[name] for name in names), needs, entry["unit"], entry["summary"], systems)
