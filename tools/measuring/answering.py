"""A very small vision-language model, trained from scratch, that answers questions about clips from their tokens alone.

Tokens go through the Projector, get their position (t, y, x) as Fourier features, and attend to each other.  Each
question is three words (kind, colour, colour) that attend to the tokens and to the words before them; the answer is
read at the last word.  Several questions share the work on the tokens, which see no question.  A token that stands for
several cells counts as that many in attention (log of its size is added, ToMe's proportional attention).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tessera.codec.options import Progress
from tessera.data import shapes
from tessera.models.networks.optim import MuonAdam
from tessera.models.tokens.modules.projector import Projector

NONE = "-"
WORDS = (*shapes.KINDS, *shapes.COLOURS, NONE)
CHOICES = tuple(answer for answers in shapes.ANSWERS.values() for answer in answers)
QUESTION = 3  # words
HEAD = 16  # width of an attention head
LEAST, MOST = 0.05, 0.4  # share of the tokens that a thinned batch keeps; fewer tokens are also cheaper
WAVES = 5  # frequencies of each coordinate's Fourier features
EXTENT = (shapes.FRAMES, shapes.SIDE / 8, shapes.SIDE / 8)  # positions are taken relative to this


@dataclass
class QuestionBatch:
    """What the model takes.

    x (B, N, C); pos (B, N, 3); size (B, N), 0 for padding; words (B, Q, 3) int64; answers (B, Q) int64, -1 for none
    """

    x: Tensor
    pos: Tensor
    size: Tensor
    words: Tensor
    answers: Tensor


class AttentionBlock(nn.Module):
    """Tokens attend to tokens; words to tokens and to the earlier words of their question."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, words: Tensor, bias: Tensor | None, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, N, D), words (B, W, D), bias (B, 1, 1, N) on the keys or None, mask (B, 1, W, N + W)."""
        q, k, v = self._split(x)
        p, r, s = self._split(words)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        read = F.scaled_dot_product_attention(p, torch.cat([k, r], 2), torch.cat([v, s], 2), attn_mask=mask)
        return self._rest(x, seen), self._rest(words, read)

    def _split(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.norm(x)).chunk(3, 2))

    def _rest(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        out: Tensor = x + self.down(F.gelu(self.up(self.norm2(x))))
        return out

    def received(self, x: Tensor) -> Tensor:
        """(heads, N) attention that each token of one set (1, N, D) gets from all, the mean over those that look."""
        q, k, _ = self._split(x)
        return (q[0] @ k[0].transpose(1, 2) / math.sqrt(q.shape[3])).softmax(2).mean(1)


class Sight(nn.Module):
    """A transformer over tokens and their places."""

    def __init__(self, channels: int, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.projector = Projector(channels, width)
        self.place = nn.Linear(6 * WAVES + 3, width)
        self.blocks = nn.ModuleList(AttentionBlock(width, width // HEAD) for _ in range(layers))

    def enter(self, x: Tensor, pos: Tensor) -> Tensor:
        """(B, N, C) tokens at (B, N, 3) -> (B, N, width)."""
        where = pos / pos.new_tensor(EXTENT)
        angle = where[..., None] * math.pi * 2.0 ** torch.arange(WAVES, device=pos.device)
        features = torch.cat([where, angle.sin().flatten(2), angle.cos().flatten(2)], 2)
        out: Tensor = self.projector(x) + self.place(features)
        return out

    def look(self, x: Tensor, pos: Tensor) -> Tensor:
        """The same after all layers, without a word."""
        hidden = self.enter(x, pos)
        nothing, mask = hidden[:, :0], hidden.new_zeros(1, 1, 0, x.shape[1])
        for block in self.blocks:
            hidden, nothing = block(hidden, nothing, None, mask)
        return hidden

    def fit_scale(self, x: Tensor) -> None:
        """Mean and spread of the channels over clips (n, N, C), of which a few hundred are enough."""
        self.projector.fit_rows(x[:: max(1, len(x) // 200)].float().flatten(0, 1))

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """All parameters for `MuonAdam`: the matrices of the layers by Muon, the rest by Adam."""
        inner = [p for p in self.blocks.parameters() if p.dim() == 2]
        held = {id(p) for p in inner}
        outer = [p for p in self.parameters() if id(p) not in held]
        return [
            {"params": inner, "optimiser": "muon", "lr": 3 * rate},
            {"params": outer, "optimiser": "adam", "lr": rate},
        ]


class AnsweringModel(Sight):
    """The model; `logits` are over CHOICES."""

    def __init__(self, channels: int, width: int = 64, layers: int = 3) -> None:
        super().__init__(channels, width, layers)
        self.word = nn.Embedding(len(WORDS), width)
        self.slot = nn.Parameter(torch.randn(QUESTION, width) * 0.02)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, len(CHOICES))

    def forward(self, batch: QuestionBatch) -> Tensor:
        """(B, Q, len(CHOICES)) logits."""
        count, asked = batch.words.shape[:2]
        x = self.enter(batch.x, batch.pos)
        words = (self.word(batch.words) + self.slot).flatten(1, 2)
        plain = bool((batch.size == 1).all())
        bias = None if plain else torch.log(batch.size.float())[:, None, None]  # log 0 = -inf: padding
        before = self._causal(asked, words.device)[None, None].expand(count, 1, -1, -1)
        seen = before.new_zeros(()) if bias is None else bias
        mask = torch.cat([seen.expand(count, 1, words.shape[1], x.shape[1]), before], 3)
        for block in self.blocks:
            x, words = block(x, words, bias, mask)
        last = words.unflatten(1, (asked, QUESTION))[:, :, -1]
        out: Tensor = self.head(self.norm(last))
        return out

    @torch.no_grad()
    def attention(self, x: Tensor, pos: Tensor) -> Tensor:
        """(layers, heads, N): what each token of one set (N, C) receives in each layer, whatever the question."""
        hidden, found = self.enter(x[None], pos[None]), []
        nothing = hidden[:, :0]
        mask = hidden.new_zeros(1, 1, 0, len(x))
        for block in self.blocks:
            assert isinstance(block, AttentionBlock)
            found.append(block.received(hidden))
            hidden, nothing = block(hidden, nothing, None, mask)
        return torch.stack(found)

    @staticmethod
    def _causal(asked: int, device: torch.device) -> Tensor:
        """(W, W) 0 where a word may look at a word of its own question, -inf elsewhere."""
        ones = torch.ones(QUESTION, QUESTION, device=device).tril()
        allowed = torch.block_diag(*[ones] * asked)
        return torch.zeros_like(allowed).masked_fill(allowed == 0, -torch.inf)


def encode_questions(questions: Sequence[shapes.Question]) -> tuple[Tensor, Tensor]:
    """words (Q, 3) and answers (Q,), int64."""
    words = [[WORDS.index(word) for word in (q.kind, *q.colours, NONE)[:QUESTION]] for q in questions]
    return torch.tensor(words), torch.tensor([CHOICES.index(q.answer) for q in questions])


def padded(asked: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Questions of several clips as words (B, Q, 3) and answers (B, Q), -1 where a clip has fewer questions."""
    most = max(len(words) for words, _ in asked)
    words = torch.zeros(len(asked), most, QUESTION, dtype=torch.int64)
    answers = torch.full((len(asked), most), -1)
    for number, (given, right) in enumerate(asked):
        words[number, : len(given)], answers[number, : len(right)] = given, right
    return words, answers


# -- training ----------------------------------------------------------------------------------------------------------


@dataclass
class Lessons:
    """Clips as they are trained on: x (n, N, C) float16, pos (N, 3), words (n, Q, 3), answers (n, Q), -1 for none."""

    x: Tensor
    pos: Tensor
    words: Tensor
    answers: Tensor


def train(
    lessons: Lessons, *, epochs: int, batch: int = 32, rate: float = 3e-3, thin: float = 0.85, seed: int = 0,
    width: int = 64, layers: int = 3, progress: Progress | None = None,
) -> AnsweringModel:  # fmt: skip
    """A model; the same for equal arguments.

    thin   share of batches that see a random part of the tokens, LEAST to MOST: a model that has only ever seen whole
           clips counts attention shares and fails on any reduced set, so a reduction could not be judged with it
    """
    torch.manual_seed(seed)
    model = AnsweringModel(lessons.x.shape[2], width, layers=layers)
    model.fit_scale(lessons.x)

    def loss(chosen: Tensor, _: float) -> Tensor:
        return _loss(model, lessons, chosen, thin)

    descend(model, loss, len(lessons.x), batch, epochs, rate, progress)
    return model.eval()


def descend(
    model: Sight, loss: Callable[[Tensor, float], Tensor], count: int, batch: int, epochs: int, rate: float,
    progress: Progress | None = None,
) -> None:  # fmt: skip
    """Minimise loss(chosen, part): `chosen` of `count` clips, `part` 0..1 of the steps gone by."""
    optimiser = MuonAdam(model.groups(rate))
    steps, step = epochs * -(-count // batch), 0
    for _ in range(epochs):
        for chosen in torch.randperm(count).split(batch):
            found = loss(chosen, step / steps)
            optimiser.zero_grad(set_to_none=True)
            found.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.schedule(min(1.0, 20 * step / steps, 1.25 * (1 - step / steps)))
            optimiser.step()
            step += 1
            if progress:
                progress(step, steps)


def _loss(model: AnsweringModel, lessons: Lessons, chosen: Tensor, thin: float) -> Tensor:
    cells = lessons.x.shape[1]
    x, pos = lessons.x[chosen], lessons.pos.expand(len(chosen), -1, -1)
    if torch.rand(()) < thin:
        count = max(1, int(cells * (LEAST + (MOST - LEAST) * torch.rand(()))))
        rows = torch.rand(len(chosen), cells).argsort(1)[:, :count]
        x = x.gather(1, rows[..., None].expand(-1, -1, x.shape[2]))
        pos = pos.gather(1, rows[..., None].expand(-1, -1, 3))
    ones = torch.ones(x.shape[:2])
    answers = lessons.answers[chosen]
    logits = model(QuestionBatch(x.float(), pos, ones, lessons.words[chosen], answers))
    return F.cross_entropy(logits.flatten(0, 1), answers.flatten(), ignore_index=-1)


@torch.inference_mode()
def answer(model: AnsweringModel, batch: QuestionBatch) -> Tensor:
    """(B, Q) bool: the likeliest answer among those of the question's kind is right; False where nothing is asked."""
    logits = model(batch)
    start, allowed = 0, torch.full((len(shapes.KINDS), len(CHOICES)), -torch.inf)
    for number, kind in enumerate(shapes.KINDS):
        allowed[number, start : start + len(shapes.ANSWERS[kind])] = 0
        start += len(shapes.ANSWERS[kind])
    right: Tensor = (logits + allowed[batch.words[:, :, 0]]).argmax(2) == batch.answers
    return right


def save(model: AnsweringModel, folder: Path) -> None:
    """`reader.safetensors`, and the projector alone as `projector.safetensors`."""
    from safetensors.torch import save_file

    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "reader.safetensors")
    model.projector.save(folder / "projector.safetensors")


def load(path: Path) -> AnsweringModel:
    """The model of a file that `save` wrote; its sizes are those of the tensors."""
    from safetensors.torch import load_file

    tensors = load_file(path)
    width, channels = tensors["slot"].shape[1], tensors["projector.mean"].shape[0]
    layers = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    model = AnsweringModel(channels, width, layers=layers)
    model.load_state_dict(tensors)
    return model.eval()
