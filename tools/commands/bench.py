"""`tessera bench coder|codec|latents|stream|tokens`: speeds and sizes beside peers, as ratios measured in one run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tessera.codec.defaults import CODEC
from tessera.tools import options


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", choices=("coder", "codec", "latents", "stream", "tokens"),
        help="the entropy coder alone, whole codecs, the latents of pictures beside lossless picture formats, memory "
        "over a long clip, or reading files as tokens beside decoding pixels and encoding patches",
    )  # fmt: skip
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="pictures or folders, of `bench latents`")
    parser.add_argument("--codec", default=CODEC, metavar="NAME", help="family that is measured")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="runs of each, of which the median counts")
    parser.add_argument("--frames", type=int, default=10_000, metavar="N", help="of `stream` (default 10000)")
    parser.add_argument("--threads", type=int, metavar="N", help="of torch (default: as it is)")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    from tessera.codec.errors import ParameterError

    if bool(args.paths) != (args.what == "latents"):
        raise ParameterError("`bench latents` takes pictures or folders of them, the others take none")
    measures = {"coder": _coder, "codec": _codec, "latents": _latents, "stream": _stream, "tokens": _tokens}
    result = measures[args.what](args)
    if args.json:
        options.print_json(result)
    else:
        _print(result)
    return 0


def _coder(args: argparse.Namespace) -> Any:
    from tessera.tools.bench import coder

    return coder.measure()


def _codec(args: argparse.Namespace) -> Any:
    from tessera.tools.bench import codec

    return codec.measure(args.codec, runs=args.runs, threads=args.threads)


def _latents(args: argparse.Namespace) -> Any:
    from tessera.tools.bench import latents
    from tessera.tools.measuring import pictures

    return latents.measure(pictures.find_files(args.paths))


def _stream(args: argparse.Namespace) -> Any:
    from tessera.tools.bench import stream

    return stream.measure(args.codec, frames=args.frames, threads=args.threads)


def _tokens(args: argparse.Namespace) -> Any:
    from tessera.tools.bench import tokens

    return tokens.measure(args.codec, runs=args.runs, threads=args.threads)


def _print(value: Any, indent: str = "") -> None:
    """Nested names and numbers, one per line."""
    for key, item in value.items():
        if isinstance(item, dict):
            print(f"{indent}{key}")
            _print(item, indent + "  ")
        else:
            print(f"{indent}{key:<28}{item:.5g}" if isinstance(item, float) else f"{indent}{key:<28}{item}")
