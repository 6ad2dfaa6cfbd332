"""`tessera verify IN.tsr`."""

from __future__ import annotations

import argparse

from tessera.tools import options


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN.tsr", help="the file to read, or - for stdin")
    options.add_device(parser)
    options.add_json(parser)
    options.add_limits(parser)


def run(args: argparse.Namespace) -> int:
    """0 if every checksum holds and every group decodes, to the pixels of its digest if there is one; else 1."""
    import tessera

    with options.progress_bar("verifying", quiet=args.json) as progress:
        report = tessera.verify(args.source, device=args.device, limits=args.limits, progress=progress)
    if args.json:
        options.print_json(report)
    elif report.ok:
        frames, groups = options.count(report.frames, "frame"), options.count(report.digests, "group")
        agree = f", the pixels of {groups} agree with the digest" if report.digests else ""
        unchecked = ", no digest compared: the file names a decoder that is not here" if report.unchecked else ""
        print(f"{args.source}: sound, {frames} decoded in {report.seconds:.2f} s{agree}{unchecked}")
    else:
        bad = f", bad groups {', '.join(map(str, report.bad_groups))} of {report.groups}" if report.bad_groups else ""
        print(f"{args.source}: DAMAGED{bad}", *report.problems, sep="\n  ")
    return 0 if report.ok else 1
