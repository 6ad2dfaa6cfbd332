"""`tessera evaluate video CLIP... --out REPORT/`: rate and quality of video codecs."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType

from tessera.tools.commands.evaluate import arguments
from tessera.tools.studies.rate.settings import VideoSettings

SETTINGS = VideoSettings


def configure(parser: argparse.ArgumentParser) -> None:
    arguments.add_paths(parser, "+", "PATH", "clips, or folders of them")
    arguments.add_rate_options(
        parser, VideoSettings.codecs, VideoSettings.qualities, VideoSettings.rates, VideoSettings.pictures, ""
    )
    parser.add_argument(
        "--resize", type=arguments.size, default=VideoSettings.resize, metavar="WxH",
        help="scale clips down to this size first, with a Lanczos filter",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoint", type=Path, default=VideoSettings.checkpoint, metavar="FOLDER",
        help="keep the states of fitted codecs here; an interrupted command goes on from them",
    )  # fmt: skip
    parser.add_argument(
        "--msssim-every", type=int, default=VideoSettings.msssim_every, metavar="N",
        help=f"measure MS-SSIM and LPIPS on every N-th frame (default: {VideoSettings.msssim_every})",
    )  # fmt: skip


def load() -> ModuleType:
    from tessera.tools.studies.rate import study

    return study
