"""`tessera evaluate latents SET.tar --out REPORT/`: one small transformer, trained on latents and on pixels."""

from __future__ import annotations

import argparse
from types import ModuleType

from tessera.tools.commands.evaluate import arguments
from tessera.tools.studies.latents.settings import LatentsSettings

SETTINGS = LatentsSettings


def configure(parser: argparse.ArgumentParser) -> None:
    arguments.add_paths(parser, 1, "SET.tar", "labelled pictures train/CLASS/NAME and test/CLASS/NAME")
    arguments.add_out(parser)
    parser.add_argument(
        "--sources", type=arguments.names, default=LatentsSettings.sources, metavar="A,B",
        help="what the model learns from: latents:NAME[:CHANNELS][@QUALITY], latents:NAME:firstCHANNELS[@QUALITY], "
        f"ids:NAME[@QUALITY], dct:CHANNELS, rgb[:SIDE] (default: {arguments.listed(LatentsSettings.sources)})",
    )  # fmt: skip
    arguments.add_quality(parser, LatentsSettings.quality, "quality of the files where a source names none, 0..100")
    arguments.add_epochs(parser, LatentsSettings.epochs, "passes over the training pictures")
    parser.add_argument(
        "--side", type=int, default=LatentsSettings.side, metavar="N",
        help=f"N x N tokens per picture (default: {LatentsSettings.side})",
    )  # fmt: skip
    parser.add_argument(
        "--seeds", type=int, default=LatentsSettings.seeds, metavar="N",
        help=f"trainings per source (default: {LatentsSettings.seeds})",
    )  # fmt: skip


def load() -> ModuleType:
    from tessera.tools.studies.latents import study

    return study
