"""`tessera evaluate extreme PICTURE... SET.tar --out REPORT/`: picture codecs at the lowest rates."""

from __future__ import annotations

import argparse
from types import ModuleType

from tessera.tools.commands.evaluate import arguments
from tessera.tools.studies.extreme.settings import ExtremeSettings

SETTINGS = ExtremeSettings


def configure(parser: argparse.ArgumentParser) -> None:
    arguments.add_paths(
        parser, "+", "PATH",
        "pictures or folders of them, and one tar file of labelled pictures train/CLASS/NAME and test/CLASS/NAME",
    )  # fmt: skip
    arguments.add_out(parser)
    arguments.add_codecs(parser, ExtremeSettings.codecs, arguments.PICTURE_CODECS)
    parser.add_argument(
        "--rates", dest="targets", type=arguments.rising(0.001, 100), default=ExtremeSettings.targets,
        metavar="0.04,0.1",
        help="rates that each codec is brought as near to as it can, bits per pixel "
        f"(default: {arguments.listed(ExtremeSettings.targets)})",
    )  # fmt: skip
    parser.add_argument(
        "--qualities", type=arguments.rising(0, 100), default=ExtremeSettings.qualities, metavar="0,5,...",
        help="qualities of codec families that are measured beside the rates (default: a few low ones per codec)",
    )  # fmt: skip
    arguments.add_images(parser)
    arguments.add_epochs(parser, ExtremeSettings.epochs, "passes over the pictures that train the classifier")
    arguments.add_jobs(parser)
    arguments.add_device(parser)


def load() -> ModuleType:
    from tessera.tools.studies.extreme import study

    return study
