"""`tessera evaluate latents SET.tar`: one small transformer, trained from scratch on latents and on pixels.

Every source gives the same number of tokens a picture; what differs is what a token holds:

    latents:NAME[:K]   the latents of a family's file, no pixels made; K channels of each cell, those of most variance
    rgb[:SIDE]         patches of the picture's own pixels, resized to SIDE x SIDE first

The model, its steps and its seeds are the same for all; only its first layer fits the source.  Test pictures are
resized and coded as the training ones.  WaLLoC's claim is that latents are better input than pixels resized to as many
values (Jacobellis et al., 2024); `verdicts` says what comes out here.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version as package_version
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tessera.codec.errors import ParameterError
from tessera.tools import options
from tessera.tools.evaluation import perception
from tessera.tools.evaluation.jobs import digest_of
from tessera.tools.evaluation.rows import Measured, RowFile, rewrite

Pixels = NDArray[np.uint8]

SIDE = 6  # tokens along a side of a picture, where nothing else is asked for
SEEDS = 3
JPEG_QUALITY = 90  # of the files that pixels are read from where reading is timed
TIMED = 64  # pictures
SOURCES = "latents:wavelet,latents:wavelet:12,rgb,rgb:78,rgb:24"
PAIRS = (("latents:wavelet", "rgb:78"), ("latents:wavelet:12", "rgb:24"))  # as many values a picture
WIDTH, LAYERS, HEADS = 96, 3, 4
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


@dataclass
class Source:
    """`code` makes the file of one picture, `read` makes its cells (h, w, C)."""

    name: str
    version: str
    code: Callable[[Pixels], bytes]
    read: Callable[[bytes], Tensor]
    channels: int | None = None  # of most variance that are kept


def source(name: str, quality: float, side: int = SIDE) -> Source:
    """The source that `name` says.  ParameterError for another name."""
    kind, *rest = name.split(":")
    try:
        if kind == "latents" and len(rest) in (1, 2):
            return _latents(name, rest[0], quality, int(rest[1]) if len(rest) == 2 else None)
        if kind == "rgb" and len(rest) <= 1:
            return _pixels(name, int(rest[0]) if rest else None, side)
    except ValueError:
        pass
    raise ParameterError(f"{name!r} is not latents:NAME[:CHANNELS] or rgb[:SIDE]")


def _latents(name: str, codec: str, quality: float, channels: int | None) -> Source:
    import tessera
    from tessera.codec import weights

    _, made = weights.load(codec)
    version = f"tessera {package_version('tessera-codec')}, weights {made.hex()}"

    def read(data: bytes) -> Tensor:
        with tessera.open(data) as clip:
            return clip.latents(0, 1).x[0]

    return Source(name, version, lambda pixels: tessera.encode(pixels, codec=codec, quality=quality), read, channels)


def _pixels(name: str, size: int | None, side: int) -> Source:
    from PIL import Image

    if size is not None and (size < side or size % side):
        raise ParameterError(f"{name}: the side must be a multiple of {side}")

    def code(pixels: Pixels) -> bytes:
        blob = io.BytesIO()
        Image.fromarray(pixels).save(blob, "JPEG", quality=JPEG_QUALITY)
        return blob.getvalue()

    def read(data: bytes) -> Tensor:
        with Image.open(io.BytesIO(data)) as image:
            return shown(np.asarray(image), size)

    return Source(name, f"pillow {package_version('pillow')}", code, read)


def shown(pixels: Pixels, side: int | None) -> Tensor:
    """float (h, w, 3) around 0, resized with a Lanczos filter."""
    from PIL import Image

    if side is not None and side != pixels.shape[0]:
        pixels = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))
    return torch.from_numpy(np.array(pixels)).float().div_(64).sub_(2)


def join_cells(grid: Tensor, side: int = SIDE) -> Tensor:
    """(n, h, w, C) -> (n, side * side, C * cells a token): neighbouring cells side by side."""
    n, h, w, c = grid.shape
    if h % side or w % side:
        raise ParameterError(f"{h} x {w} cells do not divide into {side} x {side} tokens")
    parts = grid.reshape(n, side, h // side, side, w // side, c).permute(0, 1, 3, 2, 4, 5)
    return parts.reshape(n, side * side, -1)


# -- what is learned from ----------------------------------------------------------------------------------------------


@dataclass
class Material:
    """Tokens float16: train (2, n, N, C), as they are and mirrored; test (m, N, C).  bytes and read_rate of files."""

    train: Tensor
    test: Tensor
    bytes: float
    read_rate: float


Grids = dict[str, list[Tensor]]  # by the source without its channels: training, mirrored, test, each (n, h, w, C)


def material(origin: Source, train: Pixels, test: Pixels, side: int, known: Grids) -> Material:
    """Both parts of the set as tokens, every feature scaled to mean 0 and spread 1 over the training part.

    Pixels are taken from the set's own pictures, not from the JPEG files that reading is timed with.  `known` keeps
    what is read of a family's files for the next source of the same.
    """
    name = ":".join(origin.name.split(":")[:2])
    if name not in known:
        known.clear()
        known[name] = [_grids(origin, part) for part in (train, train[:, :, ::-1], test)]
    grids = known[name]
    if origin.channels is not None:
        spread = grids[0].float().flatten(0, 2).var(0)
        chosen = torch.sort(spread, descending=True, stable=True).indices[: origin.channels].sort().values
        grids = [grid[..., chosen] for grid in grids]
    parts = [join_cells(grid, side) for grid in grids]
    sample = parts[0].float().flatten(0, 1)
    mean, scale = sample.mean(0), 1 / sample.std(0).clamp_min(1e-6)
    first, mirrored, last = (((part - mean) * scale).clamp_(-8, 8).half() for part in parts)
    files = [origin.code(pixels) for pixels in test[:TIMED]]
    begun = time.process_time()
    for data in files:
        join_cells(origin.read(data)[None], side)
    rate = len(files) / (time.process_time() - begun)
    return Material(torch.stack([first, mirrored]), last, fmean(map(len, files)), rate)


def _grids(origin: Source, pictures: Pixels) -> Tensor:
    """(n, h, w, C) float16."""
    if origin.name.startswith("rgb"):
        side = int(origin.name.partition(":")[2] or pictures.shape[1])
        return torch.stack([shown(np.ascontiguousarray(pixels), side).half() for pixels in pictures])
    return torch.stack([origin.read(origin.code(np.ascontiguousarray(pixels))).half() for pixels in pictures])


class Classifier(nn.Module):
    """Tokens (B, N, C) at places (B, N) -> (B, classes): a linear layer, a transformer, the mean over tokens."""

    def __init__(self, tokens: int, channels: int, classes: int) -> None:
        super().__init__()
        self.enter = nn.Linear(channels, WIDTH)
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
    model = Classifier(tokens, given.train.shape[3], classes)
    steps = epochs * -(-count // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.2)
    begun = time.process_time()
    for _ in range(epochs):
        for chosen in torch.randperm(count).split(BATCH):
            kept = torch.rand(len(chosen), tokens).argsort(1)[:, : int(KEPT * tokens)]
            mirrored = torch.randint(2, (len(chosen), 1))
            x = given.train[mirrored, chosen[:, None], kept].float()
            loss = F.cross_entropy(model(x, kept), labels[chosen], label_smoothing=0.1)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return model.eval(), epochs * count / (time.process_time() - begun)


@torch.inference_mode()
def accuracy(model: Classifier, x: Tensor, labels: Tensor) -> float:
    where = torch.arange(x.shape[1])
    found = torch.cat([model(part.float(), where.expand(len(part), -1)).argmax(1) for part in x.split(250)])
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
    known: Grids = {}
    file = args.out / "latents.csv"
    with options.progress_bar("training", quiet=args.json) as progress, RowFile(file, LatentsRow) as there:
        for origin in origins:
            for row in _rows(origin, train, test, args, _Found(digest, f"quality={quality:g}", there, known)):
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
    """What a run knows: the set, the setting, rows measured before, grids of the source before."""

    digest: str
    setting: str
    there: RowFile[LatentsRow]
    grids: Grids


def _rows(origin: Source, train: perception.LabelledSet, test: perception.LabelledSet, args: argparse.Namespace,
          found: _Found) -> Iterator[LatentsRow]:  # fmt: skip
    """One row a seed, those that are there already not measured again."""
    labels, wanted = torch.from_numpy(train.labels), torch.from_numpy(test.labels)
    given: Material | None = None
    for seed in range(args.seeds):
        key = (origin.name, origin.version, found.setting, found.digest, args.epochs, args.side**2, seed)
        known = next((row for row in found.there.rows if row.key == key), None)
        if known is not None:
            yield known
            continue
        if given is None:
            given = material(origin, train.pixels, test.pixels, args.side, found.grids)
        tokens, channels = given.test.shape[1:]
        model, rate = learn(given, labels, len(train.classes), epochs=args.epochs, seed=seed)
        right = accuracy(model, given.test, wanted)
        row = LatentsRow(origin.name, origin.version, found.setting, found.digest, args.epochs, seed, tokens, channels,
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
    for latents, pixels in PAIRS:
        if latents in known and pixels in known:
            difference = known[latents][0] - known[pixels][0]
            error = (known[latents][1] ** 2 + known[pixels][1] ** 2) ** 0.5
            sure = abs(difference) > 2 * error
            says = ("reproduced" if difference > 0 else "refuted") if sure else "undecided"
            found.append(Verdict(latents, pixels, difference, error, says))
    return found


def print_tables(result: dict[str, Any]) -> None:
    """One line a source, then the verdicts."""
    from tessera.tools.evaluation import tokens_study_page

    print(options.text_table(*tokens_study_page.by_source(result["rows"])))
    print("\nlatents beside pixels of as many values")
    print(options.text_table(*tokens_study_page.verdict_table(result["verdicts"]), left=2))

