"""`tessera encode IN OUT.tsr`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

from tessera.codec.options import Effort, EncodeOptions
from tessera.tools import options


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN", help="a picture, a video, a folder of frames, or - for stdin")
    parser.add_argument("target", metavar="OUT.tsr", help="the file to write, or - for stdout")
    add_options(parser)
    options.add_common(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """How to encode; shared with `tessera bulk encode`."""
    parser.add_argument(
        "--codec", default=EncodeOptions.codec, metavar="NAME", help="a codec family (see `tessera codecs`)"
    )
    options.add_rate(parser)
    parser.add_argument(
        "--effort", choices=get_args(Effort), default=EncodeOptions.effort,
        help="encoder speed (default medium); decoding is not affected; slow needs several seconds per picture, "
        "best several minutes (pictures only, codec overfitted)",
    )  # fmt: skip
    parser.add_argument("--gop", type=int, metavar="N", help="frames per group; each group decodes by itself")
    parser.add_argument("--decoder", metavar="NAME", help="synthesis network that the file names as its best")
    parser.add_argument(
        "--digest", action="store_true",
        help="keep a digest of each group's pixels for `tessera verify` (17 bytes per group; decodes what was encoded)",
    )  # fmt: skip
    parser.add_argument(
        "--no-metadata", dest="metadata", action="store_false",
        help="leave out Exif, XMP, IPTC, texts, chapters, the colour profile and sound",
    )  # fmt: skip
    parser.add_argument(
        "--fps", type=options.rate, metavar="F",
        help="frame rate of a folder of frames: 25, 29.97, 30000/1001; of a video it replaces the time stamps",
    )  # fmt: skip
    parser.add_argument(
        "-o", dest="own", action="append", default=[], type=options.key_value, metavar="key=value",
        help="an option of the codec family; may be repeated",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from tessera.codec.files import encode_file

    chosen = options.chosen(EncodeOptions, args, family_options=family_options(args))
    with _progress(chosen, args.json) as progress:
        report = encode_file(args.source, args.target, chosen, force=args.force, **progress)
    options.print_warnings(report.warnings)
    if args.json:
        options.print_json(report)
        return 0
    frames = options.count(report.frames, "frame")
    options.print_summary(
        args.target,
        f"{report.bytes:,} bytes, {report.bpp:.4f} bpp, {frames} of {report.width}x{report.height}, "
        f"{report.codec} quality {report.quality:g}, {report.seconds:.2f} s",
    )
    return 0


@contextmanager
def _progress(chosen: EncodeOptions, quiet: bool) -> Iterator[dict[str, Any]]:
    """The argument of `encode_file` that shows how far it is: frames, or how a fit stands."""
    from tessera.codec.coding import weights
    from tessera.models.base.fitted import Fits

    if isinstance(weights.load(chosen.family, device=chosen.device)[0], Fits):
        with options.fit_bar(quiet=quiet) as watch:
            yield {"watch": watch}
    else:
        with options.progress_bar("encoding", quiet=quiet) as progress:
            yield {"progress": progress}


def family_options(args: argparse.Namespace) -> dict[str, Any]:
    """The -o options; one that has a name of its own on the command line is refused."""
    from tessera.codec.errors import ParameterError

    given = dict(args.own)
    for key in given:
        if hasattr(args, key):
            raise ParameterError(f"-o {key}=...: give it as an argument (see `tessera encode --help`)")
    return given
