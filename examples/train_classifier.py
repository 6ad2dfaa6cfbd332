"""Train a small classifier on latents.  It never sees pixels: the files are read as tokens.

The folder holds one folder of .tsr files per class.  Every fourth file is kept for the test.

python examples/train_classifier.py coded/ --epochs 30
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tessera.data import CompressedDataset, collate

TOKENS = 64  # per picture; fewer where the picture has fewer cells
CHANNELS = 24  # the first channels hold the low frequencies


class Classifier(nn.Module):
    """Mean magnitude of each channel over the tokens, then two layers: (B, N, C) -> (B, classes)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, 64), nn.GELU(), nn.Linear(64, classes))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        weights = mask[..., None].to(x.dtype)
        magnitudes = torch.log1p(x.abs())  # latents of low bands are a hundred times those of high ones
        logits: Tensor = self.layers((magnitudes * weights).sum(1) / weights.sum(1))
        return logits


def load(files: list[tuple[Path, int]], train: bool) -> DataLoader[dict[str, Tensor]]:
    """Batches of tokens of (file, label)."""
    paths, labels = zip(*files, strict=True)
    data = CompressedDataset(paths, labels=labels, reduce="uniform", budget=TOKENS, channels=CHANNELS)
    return DataLoader(data, batch_size=16, shuffle=train, collate_fn=collate)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with a folder of .tsr files per class")
    parser.add_argument("--epochs", type=int, default=30)
    args = parser.parse_args(argv)

    torch.manual_seed(0)
    classes = sorted(path.name for path in args.folder.iterdir() if path.is_dir())
    files = [
        (path, number) for number, name in enumerate(classes) for path in sorted((args.folder / name).glob("*.tsr"))
    ]
    test = files[::4]
    train = [file for file in files if file not in test]
    batches, held_out = load(train, train=True), load(test, train=False)

    model = Classifier(CHANNELS, len(classes))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(args.epochs):
        for batch in batches:
            loss = nn.functional.cross_entropy(model(batch["x"], batch["mask"]), batch["label"])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    model.eval()
    right = 0
    with torch.no_grad():
        for batch in held_out:
            right += int((model(batch["x"], batch["mask"]).argmax(1) == batch["label"]).sum())
    print(f"{len(train)} files for training, {len(test)} for the test, classes: {', '.join(classes)}")
    print(f"right: {right} of {len(test)} ({right / len(test):.0%})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
