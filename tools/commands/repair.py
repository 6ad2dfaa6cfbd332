"""`tessera repair IN.tsr OUT.tsr`."""

from __future__ import annotations

import argparse
import sys

from tessera.tools import options


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN.tsr", help="the file to read, or - for stdin")
    parser.add_argument("target", metavar="OUT.tsr", help="the file to write, or - for stdout")
    parser.add_argument("--force", action="store_true", help="overwrite the output if it exists")
    options.add_json(parser)
    options.add_limits(parser)


def run(args: argparse.Namespace) -> int:
    """0 if the file that was written is sound, else 1."""
    import tessera

    report = tessera.repair(args.source, args.target, force=args.force, limits=args.limits)
    out = sys.stderr if args.target == "-" else sys.stdout
    if args.json:
        options.print_json(report)
        return 0 if report.ok else 1
    state = "sound" if report.ok else "STILL DAMAGED"
    print(f"{args.target}: {state}, {options.count(report.frames, 'frame')}", file=out)
    for title, lines in (("was wrong", report.problems), ("set right", report.corrected), ("lost", report.lost)):
        for line in lines:
            print(f"  {title}: {line}", file=out)
    if not report.problems:
        print("  nothing was wrong", file=out)
    return 0 if report.ok else 1
