"""`tessera decode IN.tsr OUT`."""

from __future__ import annotations

import argparse

from tessera.codec.options import DecodeOptions
from tessera.tools import options


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN.tsr", help="the file to read, or - for stdin")
    parser.add_argument(
        "target", metavar="OUT", help="by suffix: png, webp, jpg ..., mp4, mkv, y4m, npy; a folder; or - for stdout"
    )
    add_options(parser)
    options.add_common(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """How to decode; shared with `tessera bulk decode`."""
    parser.add_argument("--decoder", metavar="NAME", help="synthesis network (see `tessera codecs`)")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--crf", type=int, metavar="N", help="quality of a video's viewing copy, lower is better")
    group.add_argument("--lossless", action="store_true", help="write a video without further loss")
    damaged = parser.add_mutually_exclusive_group()
    damaged.add_argument("--partial", action="store_true", help="write what is left of a damaged file")
    damaged.add_argument(
        "--conceal",
        action="store_true",
        help="fill in the frames that a damaged file has lost: codec vqgan predicts them from the last sound frame, of"
        " other codecs it stands still",
    )


def run(args: argparse.Namespace) -> int:
    from tessera.codec.files import decode_file

    with options.progress_bar("decoding", quiet=args.json) as progress:
        report = decode_file(
            args.source,
            args.target,
            options.chosen(DecodeOptions, args, progress=progress),
            force=args.force,
            crf=args.crf,
            lossless=args.lossless,
        )
    options.print_warnings(report.warnings)
    if args.json:
        options.print_json(report)
        return 0
    options.print_summary(
        args.target,
        f"{options.count(report.frames, 'frame')} of {report.width}x{report.height}, {report.seconds:.2f} s",
    )
    return 0
