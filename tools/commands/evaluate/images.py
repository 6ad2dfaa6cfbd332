"""`tessera evaluate images PICTURE... --out REPORT/`: rate and quality of picture codecs."""

from __future__ import annotations

import argparse
from types import ModuleType

from tessera.tools.commands.evaluate import arguments
from tessera.tools.studies.rate.settings import ImagesSettings

SETTINGS = ImagesSettings


def configure(parser: argparse.ArgumentParser) -> None:
    arguments.add_paths(parser, "+", "PATH", "pictures, or folders of them")
    arguments.add_rate_options(
        parser,
        ImagesSettings.codecs,
        ImagesSettings.qualities,
        ImagesSettings.rates,
        ImagesSettings.pictures,
        f"{arguments.PICTURE_CODECS}, published:NAME",
    )


def load() -> ModuleType:
    from tessera.tools.studies.rate import study

    return study
