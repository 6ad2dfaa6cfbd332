"""`tessera evaluate tokens --out REPORT/`: every token reduction at equal budgets."""

from __future__ import annotations

import argparse
from types import ModuleType

from tessera.tools.commands.evaluate import arguments
from tessera.tools.studies.tokens.settings import TokensSettings

SETTINGS = TokensSettings


def configure(parser: argparse.ArgumentParser) -> None:
    arguments.add_clip_options(
        parser,
        TokensSettings.codec,
        TokensSettings.quality,
        TokensSettings.training_clips,
        TokensSettings.epochs,
        TokensSettings.clips,
        "clips that questions are asked about",
    )
    parser.add_argument(
        "--budgets", type=arguments.numbers(0.001, 1), default=TokensSettings.budgets, metavar="1,0.5,...",
        help=f"shares of the tokens that are kept (default: {arguments.listed(TokensSettings.budgets)})",
    )  # fmt: skip


def load() -> ModuleType:
    from tessera.tools.studies.tokens import study

    return study
