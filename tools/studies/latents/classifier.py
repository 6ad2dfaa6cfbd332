"""A small transformer that learns classes from tokens of vectors or of indices."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tessera.tools.studies.latents.sources import Material

WIDTH, LAYERS, HEADS = 96, 3, 4
NARROW = 16  # width of the vector of an index
BATCH, RATE = 64, 1.5e-3
KEPT = 0.5  # part of a training picture's tokens, drawn anew each time; it prevents overfitting and halves the work


class IndexEmbedding(nn.Module):
    """Indices (B, N, C) -> (B, N, WIDTH): each of a token's C has a table of its own; their vectors, a linear layer."""

    starts: Tensor

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("starts", torch.tensor([0, *sizes[:-1]]).cumsum(0))
        self.table = nn.Embedding(sum(sizes), NARROW)
        self.out = nn.Linear(len(sizes) * NARROW, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.table(x + self.starts).flatten(2))
        return out


class Classifier(nn.Module):
    """Tokens (B, N, C) at places (B, N) -> (B, classes): a linear layer, a transformer, the mean over tokens.

    Tokens of indices, each below its one of `sizes`, enter by `IndexEmbedding`.
    """

    def __init__(self, tokens: int, channels: int, classes: int, sizes: Sequence[int] = ()) -> None:
        super().__init__()
        self.enter = IndexEmbedding(sizes) if sizes else nn.Linear(channels, WIDTH)
        self.place = nn.Parameter(torch.randn(tokens, WIDTH) * 0.02)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, x: Tensor, where: Tensor) -> Tensor:
        out: Tensor = self.head(self.layers(self.enter(x) + self.place[where]).mean(1))
        return out


def learn(given: Material, labels: Tensor, classes: int, *, epochs: int, seed: int) -> tuple[Classifier, float]:
    """A classifier and the training pictures a second; the same classifier for equal seeds."""
    torch.manual_seed(seed)
    count, tokens = given.train.shape[1:3]
    model = Classifier(tokens, given.train.shape[3], classes, given.sizes)
    steps = epochs * -(-count // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.2)
    begun = time.process_time()
    for _ in range(epochs):
        for chosen in torch.randperm(count).split(BATCH):
            kept = torch.rand(len(chosen), tokens).argsort(1)[:, : int(KEPT * tokens)]
            mirrored = torch.randint(2, (len(chosen), 1))
            x = _ready(given.train[mirrored, chosen[:, None], kept])
            loss = F.cross_entropy(model(x, kept), labels[chosen], label_smoothing=0.1)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return model.eval(), epochs * count / (time.process_time() - begun)


def _ready(x: Tensor) -> Tensor:
    """Numbers as float32, indices as they are."""
    return x.float() if x.is_floating_point() else x


@torch.inference_mode()
def accuracy(model: Classifier, x: Tensor, labels: Tensor) -> float:
    where = torch.arange(x.shape[1])
    found = torch.cat([model(_ready(part), where.expand(len(part), -1)).argmax(1) for part in x.split(250)])
    return float((found == labels).float().mean())
