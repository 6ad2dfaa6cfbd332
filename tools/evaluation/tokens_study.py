"""`tessera evaluate latents SET.tar`: one small transformer, trained from scratch on latents and on pixels.

Every source gives the same number of tokens a picture; what differs is what a token holds:

    latents:NAME[:K][@Q]   the latents of a family's file, no pixels made; K channels of each cell, those of most
                           variance; Q the quality of the files where it is not that of all
    latents:NAME:firstK    the first K channels, which alone are decoded
    ids:NAME[@Q]           the codebook indices of a family's file, each looked up in a table that is learned with the
                           model; `latents` of such a family are the vectors of its own codebooks
    rgb[:SIDE]             patches of the picture's own pixels, resized to SIDE x SIDE first

The model, its steps and its seeds are the same for all; only its first layer fits the source.  Test pictures are
resized and coded as the training ones.  WaLLoC's claim is that latents are better input than pixels resized to as many
values (Jacobellis et al., 2024); `verdicts` says what comes out here.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tessera.codec.errors import ParameterError
from tessera.tools import options
from tessera.tools.evaluation import perception
from tessera.tools.evaluation.jobs import digest_of
from tessera.tools.evaluation.rows import Measured, RowFile, rewrite
from tessera.tools.evaluation.tokens_sources import Known, Material, Source, material, source

SOURCES = (
    "latents:wavelet,latents:wavelet:12,latents:spatiotemporal,latents:spatiotemporal:12,"
    "latents:vqgan:108@100,ids:vqgan@100,rgb,rgb:78,rgb:36,rgb:24"
)
CLOSE = 0.02  # relative difference of the numbers of values that count as equal
WIDTH, LAYERS, HEADS = 96, 3, 4
NARROW = 16  # width of the vector of an index
BATCH, RATE = 64, 1.5e-3
KEPT = 0.5  # of a training picture's tokens, drawn anew each time: it prevents learning by heart, and halves the work


@dataclass(frozen=True)
class LatentsRow(Measured):
    """One source (`codec`) and seed.  values: numbers a picture; bytes: mean of its files; rates: a CPU second.

    set          of pictures: first 12 hexadecimal digits of its file's sha256
    read_rate    from a file in memory to tokens (pixels: from a JPEG of quality 90), one at a time
    train_rate   through the model, gradients and optimiser included
    """

    set: str
    epochs: int
    seed: int
    tokens: int
    channels: int
    values: int
    bytes: float
    accuracy: float
    read_rate: float
    train_rate: float

    @property
    def subject(self) -> tuple[object, ...]:
        return self.set, self.epochs, self.tokens, self.seed

    @property
    def order(self) -> tuple[str, float]:
        return self.set, self.seed


@dataclass(frozen=True)
class Verdict:
    """Difference of mean accuracies of two sources with as many values; reproduced, refuted or undecided."""

    latents: str
    pixels: str
    difference: float
    error: float
    says: str


class Lookup(nn.Module):
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

    Tokens of indices, each below its one of `sizes`, enter by `Lookup`.
    """

    def __init__(self, tokens: int, channels: int, classes: int, sizes: Sequence[int] = ()) -> None:
        super().__init__()
        self.enter = Lookup(sizes) if sizes else nn.Linear(channels, WIDTH)
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


# -- the command -------------------------------------------------------------------------------------------------------


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, write latents.csv, two plots and index.html to `args.out`; return what they hold."""
    from tessera.tools.evaluation import tokens_study_page

    if len(args.paths) != 1 or not args.paths[0].is_file():
        raise ParameterError("evaluate latents takes one tar file of pictures train/CLASS/NAME and test/CLASS/NAME")
    quality = args.qualities[0] if args.qualities else 50.0
    origins = [source(name, quality, args.side) for name in args.sources or SOURCES.split(",")]
    train, test = (perception.read_set(args.paths[0], split) for split in ("train", "test"))
    digest = digest_of(args.paths[0])
    rows: list[LatentsRow] = []
    known = Known()
    file = args.out / "latents.csv"
    with options.progress_bar("training", quiet=args.json) as progress, RowFile(file, LatentsRow) as there:
        for origin in origins:
            for row in _rows(origin, train, test, args, _Found(digest, there, known)):
                rows.append(row)
                if progress:
                    progress(len(rows), len(origins) * args.seeds)
    rewrite(file, there.rows, LatentsRow)
    result = {"set": args.paths[0].name, "train": len(train.labels), "test": len(test.labels), "epochs": args.epochs,
              "quality": quality, "side": args.side, "rows": rows, "verdicts": verdicts(rows)}  # fmt: skip
    tokens_study_page.write(args.out, result)
    return result


@dataclass
class _Found:
    """What a run knows: the set, rows measured before, files and grids of the source before."""

    digest: str
    there: RowFile[LatentsRow]
    before: Known


def _rows(origin: Source, train: perception.LabelledSet, test: perception.LabelledSet, args: argparse.Namespace,
          found: _Found) -> Iterator[LatentsRow]:  # fmt: skip
    """One row a seed, those that are there already not measured again."""
    labels, wanted = torch.from_numpy(train.labels), torch.from_numpy(test.labels)
    given: Material | None = None
    for seed in range(args.seeds):
        key = (origin.name, origin.version, origin.setting, found.digest, args.epochs, args.side**2, seed)
        known = next((row for row in found.there.rows if row.key == key), None)
        if known is not None:
            yield known
            continue
        if given is None:
            given = material(origin, train.pixels, test.pixels, args.side, found.before)
        tokens, channels = given.test.shape[1:]
        model, rate = learn(given, labels, len(train.classes), epochs=args.epochs, seed=seed)
        right = accuracy(model, given.test, wanted)
        row = LatentsRow(origin.name, origin.version, origin.setting, found.digest, args.epochs, seed, tokens, channels,
                         tokens * channels, given.bytes, right, given.read_rate, rate)  # fmt: skip
        found.there.add(row)
        yield row


def means(rows: Sequence[LatentsRow]) -> dict[str, tuple[float, float]]:
    """Source -> mean accuracy and its standard error over seeds."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        groups.setdefault(row.codec, []).append(row.accuracy)
    return {
        name: (fmean(values), stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan"))
        for name, values in groups.items()
    }


def verdicts(rows: Sequence[LatentsRow]) -> list[Verdict]:
    """What the rows say about latents against resized pixels: decided where the difference is over two errors."""
    known, found = means(rows), []
    for latents, pixels in pairs(rows):
        difference = known[latents][0] - known[pixels][0]
        error = (known[latents][1] ** 2 + known[pixels][1] ** 2) ** 0.5
        sure = abs(difference) > 2 * error
        says = ("reproduced" if difference > 0 else "refuted") if sure else "undecided"
        found.append(Verdict(latents, pixels, difference, error, says))
    return found


def pairs(rows: Sequence[LatentsRow]) -> list[tuple[str, str]]:
    """Latents and resized pixels of as many values a picture, of the resized ones those that come closest."""
    values = {row.codec: row.values for row in rows}
    resized = [name for name in values if name.startswith("rgb:")]
    found = []
    for name in values:
        if name.startswith("latents:") and resized:
            nearest = min(resized, key=lambda other: abs(values[other] - values[name]))
            if abs(values[nearest] - values[name]) <= CLOSE * values[name]:
                found.append((name, nearest))
    return found


def print_tables(result: dict[str, Any]) -> None:
    """One line a source, then the verdicts."""
    from tessera.tools.evaluation import tokens_study_page

    print(options.text_table(*tokens_study_page.by_source(result["rows"])))
    print("\nlatents beside pixels of as many values")
    print(options.text_table(*tokens_study_page.verdict_table(result["verdicts"]), left=2))
