"""`tessera evaluate machine SET.tar --out REPORT/`: what a classifier recognises in coded pictures."""

from __future__ import annotations

import argparse
from types import ModuleType

from tessera.tools.commands.evaluate import arguments
from tessera.tools.studies.machine.settings import MachineSettings

SETTINGS = MachineSettings


def configure(parser: argparse.ArgumentParser) -> None:
    arguments.add_paths(parser, 1, "SET.tar", "labelled pictures train/CLASS/NAME and test/CLASS/NAME")
    arguments.add_out(parser)
    arguments.add_codecs(parser, MachineSettings.codecs, arguments.PICTURE_CODECS)
    arguments.add_qualities(parser, MachineSettings.qualities)
    arguments.add_images(parser)
    arguments.add_epochs(parser, MachineSettings.epochs, "passes over the pictures that train a classifier")
    parser.add_argument("--latents", action="store_true", help="also train classifiers on the latents of families")
    parser.add_argument("--retrain", action="store_true", help="also train classifiers on coded pictures (slow)")
    parser.add_argument(
        "--retrain-at", type=arguments.numbers(0, 100), default=MachineSettings.retrain_at, metavar="10,30",
        help="the same, only at these settings of each codec",
    )  # fmt: skip
    arguments.add_jobs(parser)
    arguments.add_device(parser)


def load() -> ModuleType:
    from tessera.tools.studies.machine import study

    return study
