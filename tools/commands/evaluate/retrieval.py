"""`tessera evaluate retrieval --out REPORT/`: clips found by words, and words by clips."""

from __future__ import annotations

import argparse
from types import ModuleType

from tessera.tools.commands.evaluate import arguments
from tessera.tools.studies.retrieval.settings import RetrievalSettings

SETTINGS = RetrievalSettings


def configure(parser: argparse.ArgumentParser) -> None:
    arguments.add_clip_options(
        parser,
        RetrievalSettings.codec,
        RetrievalSettings.quality,
        RetrievalSettings.training_clips,
        RetrievalSettings.epochs,
        RetrievalSettings.clips,
        "clips that are searched",
    )


def load() -> ModuleType:
    from tessera.tools.studies.retrieval import study

    return study
