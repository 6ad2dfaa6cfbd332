"""`tessera evaluate STUDY PATH... --out REPORT/`: codecs compared, a subcommand per study.

Each study has a file here with `SETTINGS`, the dataclass of its settings; `configure(parser)`, which adds its options
under the names of the fields; and `load()`, which imports the study itself.  All of this imports nothing heavy, so
`tessera evaluate --help` answers at once.  What a study writes is said in its room of `tools/studies`.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import shlex
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from tessera.tools import options
from tessera.tools.engines.local import cores
from tessera.tools.engines.making import make_engine
from tessera.tools.measuring.settings import Run, Workers

STUDIES: dict[str, tuple[str, str]] = {  # name -> (module, one line of help)
    "images": ("images", "rate and quality of picture codecs: BD-rates, plots, a slider"),
    "video": ("video", "rate and quality of video codecs: BD-rates, plots, a slider"),
    "machine": ("machine", "what an image classifier recognises in coded pictures"),
    "latents": ("latents", "what a small transformer learns from latents and from pixels"),
    "tokens": ("tokens", "how well a model answers from the tokens that each reduction method keeps"),
    "retrieval": ("retrieval", "how well clips are found by words, and words by clips"),
    "extreme": ("extreme", "picture codecs at a few hundredths of a bit per pixel"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    studies = parser.add_subparsers(metavar="STUDY", required=True)
    for name, (module, summary) in STUDIES.items():
        study = importlib.import_module(f"{__name__}.{module}")
        child = studies.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        study.configure(child)
        options.add_json(child)
        child.set_defaults(study=study)


def run(args: argparse.Namespace) -> int:
    options.need_packages(("bjontegaard", "matplotlib", "pytorch_msssim"), "eval")
    settings = settings_of(args.study.SETTINGS, args)
    study = args.study.load()
    with _workers(args) as workers:
        how = Run(workers, args.json, shlex.join(["tessera", *sys.argv[1:]]))
        result = study.evaluate(settings, args.paths, args.out, how)
    if args.json:
        options.print_json(result)
    else:
        study.print_tables(result)
        print(f"report: {args.out / 'index.html'}")
    return 0


@contextmanager
def _workers(args: argparse.Namespace) -> Iterator[Workers]:
    """What --jobs, --engine and --address say; one measurement at a time where a study has none of them."""
    if getattr(args, "engine", "local") == "local":
        jobs = getattr(args, "jobs", 1)
        yield cores() if jobs is None else jobs
        return
    with closing(make_engine(args.engine, args.jobs, address=args.address)) as engine:
        yield engine


def settings_of(kind: Any, args: argparse.Namespace) -> Any:
    """The settings of class `kind` from the arguments that are called like its fields."""
    values = {field.name: getattr(args, field.name) for field in dataclasses.fields(kind)}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
