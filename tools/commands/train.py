"""`tessera train NAME --data PACK... --out RUN/`: one trainer for every family.

A family gives a `TrainingTask`.  The schedule is fitted to `--minutes`: a short warm-up, then a cosine to zero over the
time there is, so only finished runs compare.

`--objective task` trains gains of the family's bands for what a classifier sees and writes them to
RUN/task.safetensors, for `tessera encode -o task=FILE`; see `tools/training/distillation.py`.  `--objective perceptual`
trains decoder `perceptual` for the weights that the family has, `--objective analysis` the network that their encoder
asks; see `tools/training/companions.py`.
"""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="family to train")
    parser.add_argument(
        "--objective", choices=("pixels", "task", "perceptual", "analysis"), default="pixels",
        help="what is trained: the weights, gains for a task, a decoder for eyes, the encoder's network",
    )  # fmt: skip
    parser.add_argument(
        "--data", nargs="+", required=True, metavar="PACK",
        help="tar archives of pictures or clips; for a task one that holds train/CLASS/NAME",
    )  # fmt: skip
    parser.add_argument("--out", required=True, metavar="RUN", help="folder for checkpoints and logs")
    parser.add_argument("--minutes", type=float, default=60.0, help="time for the whole schedule")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=14, metavar="N", help="of training a task's teacher")
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

    from tessera.tools.commands.export import provenance
    from tessera.tools.training import companions, distillation
    from tessera.tools.training.trainer import Trainer, join_group

    if args.threads:
        torch.set_num_threads(args.threads)
    trainer = Trainer(args, *join_group())
    trainer.train()
    if args.objective == "task" and trainer.rank == 0:
        notes = {**provenance(trainer.state(), trainer.out), "batch": f"{args.batch} whole pictures"}
        target = distillation.write(trainer.average, trainer.out, notes)
        print(f"{target}: for tessera encode --codec {args.name} -o task={target}")
    if args.objective in companions.KINDS and trainer.rank == 0:
        notes = provenance(trainer.state(), trainer.out)
        target = companions.write(trainer.average, args.name, args.objective, trainer.out, notes)
        print(f"{target}: for the folder models/weights")
    return 0
