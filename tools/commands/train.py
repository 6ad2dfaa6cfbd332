"""`tessera train NAME --data PACK... --out RUN/`: one trainer for every family.

A family gives a `TrainingTask`.  The schedule is fitted to `--minutes`: a short warm-up, then a cosine to zero over the
time there is, so only finished runs compare.
"""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="family to train")
    parser.add_argument("--data", nargs="+", required=True, metavar="PACK", help="tar archives of pictures")
    parser.add_argument("--out", required=True, metavar="RUN", help="folder for checkpoints and logs")
    parser.add_argument("--minutes", type=float, default=60.0, help="time for the whole schedule")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--resume", action="store_true", help="go on from RUN's checkpoint")
    parser.add_argument("--init", metavar="WEIGHTS", help="start from an exported weights file")
    parser.add_argument("--lr", type=float, default=1.0, metavar="X", help="factor on every learning rate")
    parser.add_argument("--validate", type=float, default=15.0, metavar="M", help="minutes between validations")
    parser.add_argument(
        "-o", dest="options", action="append", default=[], metavar="KEY=VALUE", help="option of the family's model"
    )


def run(args: argparse.Namespace) -> int:
    import torch

    from tessera.tools.training.trainer import Trainer, join_group

    if args.threads:
        torch.set_num_threads(args.threads)
    Trainer(args, *join_group()).train()
    return 0
