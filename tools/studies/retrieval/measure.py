"""`tessera evaluate retrieval`: clips found by words, and words by clips, from latents that no pixel was made of.

Procedural clips of moving shapes are coded as .tsr files.  Two towers are trained from scratch to agree: one reads the
latents of a clip, one its description, which is the colour, form and direction of each shape in the order in which they
appear.  Pictures are clips of one frame.  Training begins with the last frame of each clip alone and goes on with more
of them; one set of weights serves all numbers of frames (Bain et al., Frozen in Time, 2021).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tessera.codec.options import Progress
from tessera.data import shapes
from tessera.models.tokens import reduce
from tessera.models.tokens.grid import TokenGrid
from tessera.tools.measuring.answering import Sight, descend
from tessera.tools.measuring.job import version_text
from tessera.tools.peers.peer import Peer
from tessera.tools.studies.retrieval.rows import RANKS, RetrievalRow
from tessera.tools.studies.retrieval.settings import RetrievalSettings
from tessera.tools.studies.tokens.measure import FIRST_TEST_SEED

FRAMES = (1, 4, shapes.FRAMES)  # frames per clip in each third of the training
WORDS = (*shapes.COLOURS, *shapes.FORMS, *shapes.DIRECTIONS)
MOST = 3  # most shapes in a clip
BATCH, RATE = 64, 2e-3
WARMEST = 4.6  # ln of the largest factor on similarities


@dataclass
class Library:
    """Clips: x (n, FRAMES, cells, C) float16, pos (FRAMES, cells, 3), words (n, MOST, 3), -1 where a shape lacks."""

    x: Tensor
    pos: Tensor
    words: Tensor


class DualEncoder(Sight):
    """Clips and descriptions -> unit vectors (B, width) that agree where they belong together."""

    def __init__(self, channels: int, width: int = 64, layers: int = 3) -> None:
        super().__init__(channels, width, layers)
        self.word, self.turn = nn.Embedding(len(WORDS), width), nn.Embedding(MOST, width)
        self.mixed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.seen, self.read = nn.Linear(width, width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.warmth = nn.Parameter(torch.tensor(2.0))

    def see(self, x: Tensor, pos: Tensor) -> Tensor:
        """Tokens (B, N, C) at pos (B, N, 3), of any number of frames."""
        return F.normalize(self.seen(self.norm(self.look(x, pos)).mean(1)), dim=1)

    def embed(self, grid: TokenGrid) -> Tensor:
        """(width,) of the latents of a file."""
        tokens = reduce(grid, "uniform", 1.0)
        return self.see(tokens.x[None].float(), tokens.pos[None])[0]

    def describe(self, words: Tensor) -> Tensor:
        """Descriptions (B, MOST, 3)."""
        there = (words[:, :, :1] >= 0).float()
        shape = self.mixed(self.word(words.clamp(min=0)).sum(2) + self.turn.weight)
        return F.normalize(self.read((shape * there).sum(1)), dim=1)

    def loss(self, x: Tensor, pos: Tensor, words: Tensor) -> Tensor:
        """Cross-entropy of finding each clip's description in the batch, and each description's clip."""
        agree = self.see(x, pos) @ self.describe(words).T * self.warmth.clamp(max=WARMEST).exp()
        right = torch.arange(len(x))
        return (F.cross_entropy(agree, right) + F.cross_entropy(agree.T, right)) / 2


def encode_words(description: Sequence[tuple[str, ...]]) -> Tensor:
    """(MOST, 3) int64."""
    words = torch.full((MOST, 3), -1)
    for number, names in enumerate(description):
        words[number] = torch.tensor([WORDS.index(name) for name in names])
    return words


def some_frames(library: Library, chosen: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Tokens (B, frames * cells, C) and places of the clips `chosen`: the last frame, and others at equal steps."""
    which = torch.linspace(shapes.FRAMES - 1, 0, frames).round().long().flip(0)
    x = library.x[chosen][:, which].flatten(1, 2).float()
    return x, library.pos[which].flatten(0, 1).expand(len(chosen), -1, -1)


def train(library: Library, *, epochs: int, seed: int = 0, progress: Progress | None = None) -> DualEncoder:
    """The same for equal arguments."""
    torch.manual_seed(seed)
    model = DualEncoder(library.x.shape[3])
    model.fit_scale(library.x.flatten(1, 2))

    def loss(chosen: Tensor, part: float) -> Tensor:
        frames = FRAMES[int(len(FRAMES) * part)]
        return model.loss(*some_frames(library, chosen, frames), library.words[chosen])

    descend(model, loss, len(library.x), BATCH, epochs, RATE, progress)
    return model.eval()


@torch.inference_mode()
def ranks(model: DualEncoder, library: Library, frames: int) -> dict[str, Tensor]:
    """Way -> rank (n,) of the right answer to each search, 1 the best."""
    everything = torch.arange(len(library.x))
    clips = torch.cat([model.see(*some_frames(library, part, frames)) for part in everything.split(BATCH)])
    agree = model.describe(library.words) @ clips.T
    right = agree.diagonal()
    return {
        "clips by words": 1 + (agree > right[:, None]).sum(1),
        "words by clips": 1 + (agree > right).sum(0),
    }


def measure(
    settings: RetrievalSettings, peer: Peer[Any, Any], model: DualEncoder, searched: Library
) -> list[RetrievalRow]:
    """One row for each number of frames and way of search; `peer` made the files."""
    quality = f"quality={settings.quality:g}"
    head = (settings.codec, version_text(peer), quality, settings.training, len(searched.x))
    rows = []
    for frames in FRAMES:
        for way, found in ranks(model, searched, frames).items():
            first, fifth, tenth = (float((found <= rank).float().mean()) for rank in RANKS)
            rows.append(RetrievalRow(*head, frames, way, first, fifth, tenth, float(found.median())))
    return rows


# -- clips -------------------------------------------------------------------------------------------------------------


def different_clips(count: int) -> list[int]:
    """Seeds of `count` clips, each of another description."""
    found: dict[tuple[tuple[str, ...], ...], int] = {}
    for seed in itertools.count(FIRST_TEST_SEED):
        found.setdefault(shapes.describe(shapes.clip(seed)), seed)
        if len(found) == count:
            break
    return list(found.values())


def make_library(seeds: Sequence[int], peer: Peer[Any, Any], progress: Progress | None = None) -> Library:
    """The clips of these seeds by way of files."""
    import tessera

    x, words = [], []
    for number, seed in enumerate(seeds):
        clip = shapes.clip(seed)
        with tessera.open(peer.encode(clip.pixels, peer.settings[0])) as opened:
            grid = opened.latents()
        x.append(grid.x.flatten(1, 2).half())
        words.append(encode_words(shapes.describe(clip)))
        if progress:
            progress(number + 1, len(seeds))
    pos = reduce(grid, "uniform", 1.0).pos.unflatten(0, (shapes.FRAMES, -1))
    return Library(torch.stack(x), pos, torch.stack(words))
