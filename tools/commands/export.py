"""`tessera export RUN/`: a trained run -> models/weights/NAME.safetensors, in integers, its bounds proven."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="RUN", help="folder of a trained run")
    parser.add_argument(
        "--data", nargs="+", required=True, metavar="PACK", help="packs that the final tables are fitted on"
    )
    parser.add_argument("--out", help="file to write (default: the package's models/weights/NAME.safetensors)")
    parser.add_argument("--adopt", metavar="WEIGHTS", help="take the part that the run did not train from this file")
    parser.add_argument("--samples", type=int, default=64, help="pictures and clips, each, to fit the tables on")


def run(args: argparse.Namespace) -> int:
    import torch

    from tessera.codec.coding import weights
    from tessera.codec.errors import ParameterError
    from tessera.data import packs
    from tessera.models.base.task import arrays_of, tensors_of
    from tessera.models.registry import task
    from tessera.tools.training.provenance import provenance

    folder = Path(args.folder)
    state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
    if state.get("objective", "pixels") != "pixels":
        raise ParameterError(f"{folder} was trained with --objective {state['objective']}, which writes what it made")
    trained = task(state["name"], **state["options"])
    trained.load_state_dict(state["average"])
    adopted: dict[str, str] = {}
    if args.adopt:
        part, notes = weights.read(Path(args.adopt))
        trained.adopt(tensors_of(part))
        adopted = {f"adopted {key}": value for key, value in notes.items()}
    samples, held_out = packs.hold_out(packs.load(args.data))
    trained.calibrate(thinned(held_out, args.samples))
    tensors, options = trained.export(thinned(samples, args.samples))
    target = Path(args.out) if args.out else weights.FOLDER / f"{state['name']}.safetensors"
    weights.write(target, arrays_of(tensors), {**adopted, **provenance(state, folder), **options})
    print(f"{target}: {target.stat().st_size:,} bytes")
    return 0


def thinned(samples: list[Any], count: int) -> list[Any]:
    """Roughly `count` pictures (3 dimensions) and as many clips (4), evenly spread."""
    kinds = [[sample for sample in samples if sample.dim() == dimensions] for dimensions in (3, 4)]
    return [sample for kind in kinds for sample in kind[:: max(1, len(kind) // count)]]
