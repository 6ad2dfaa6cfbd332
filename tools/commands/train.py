"""`tessera train NAME --data PACK... --out RUN/`: one trainer for every family.

A family gives a `TrainingTask`.  The schedule is fitted to `--minutes`: a short warm-up, then a cosine to zero over the
time there is, so only finished runs compare.

`--objective task` trains gains of the family's bands for a classifier and writes them to RUN/task.safetensors, for
`tessera encode -o task=FILE`; see `tools/training/distillation.py`.  `--objective perceptual` trains decoder
`perceptual` for the weights that the family has, `--objective analysis` their analysis network; see
`tools/training/companions.py`.  `--objective start` learns where fits of family overfitted begin; see
`tools/training/starts.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="family to train")
    parser.add_argument(
        "--objective", choices=("pixels", "task", "perceptual", "analysis", "start"), default="pixels",
        help="what is trained: the weights, gains for a task, decoder perceptual, the analysis network, starts of fits",
    )  # fmt: skip
    parser.add_argument(
        "--data", nargs="+", required=True, metavar="PACK",
        help="tar archives of pictures or clips; for a task one that holds train/CLASS/NAME",
    )  # fmt: skip
    parser.add_argument("--out", required=True, metavar="RUN", help="folder for checkpoints and logs; also a URL")
    parser.add_argument("--minutes", type=float, default=60.0, help="time for the whole schedule")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="pictures per step (default: 8)")
    parser.add_argument(
        "--crop", type=int, default=256, metavar="N", help="side of the squares cut out of pictures (default: 256)"
    )
    parser.add_argument("--epochs", type=int, default=14, metavar="N", help="of training a task's teacher")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--resume", action="store_true", help="go on from RUN's checkpoint")
    parser.add_argument("--init", type=Path, metavar="WEIGHTS", help="start from an exported weights file")
    parser.add_argument("--lr", type=float, default=1.0, metavar="X", help="factor on every learning rate")
    parser.add_argument("--validate", type=float, default=15.0, metavar="M", help="minutes between validations")
    parser.add_argument(
        "-o", dest="options", action="append", default=[], metavar="KEY=VALUE", help="option of the family's model"
    )


def run(args: argparse.Namespace) -> int:
    from tessera.tools.training.settings import TrainingSettings
    from tessera.tools.training.trainer import train

    settings = TrainingSettings(
        name=args.name,
        data=tuple(args.data),
        out=args.out,
        objective=args.objective,
        options=_options(args.objective, args.options),
        minutes=args.minutes,
        batch=args.batch,
        crop=args.crop,
        epochs=args.epochs,
        threads=args.threads,
        seed=args.seed,
        device=args.device,
        resume=args.resume,
        init=args.init,
        lr=args.lr,
        validate=args.validate,
    )
    made = train(settings)
    if made is not None and settings.objective == "task":
        print(f"{made}: for tessera encode --codec {settings.name} -o task={made}")
    elif made is not None:
        print(f"{made}: for the folder models/weights")
    return 0


def _options(objective: str, pairs: Sequence[str]) -> dict[str, float]:
    """The options of `-o`: those of a task are any numbers, all others whole ones."""
    from tessera.codec.errors import ParameterError

    kind: type[float] = float if objective == "task" else int
    found = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        try:
            found[key] = kind(value)
        except ValueError:
            what = "a number" if objective == "task" else "a whole number"
            raise ParameterError(f"-o {pair}: give KEY=VALUE, VALUE {what}") from None
    return found
