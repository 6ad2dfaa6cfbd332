"""Indices that were lost, filled in by the prior: it was trained under random patterns of known neighbours.

A cell's lost word becomes the mean of the codebook under the prior's probabilities, which has the least expected
squared error; the likeliest node stands in for it where other cells are told of it.  The surest cells are filled first
(Chang et al., "MaskGIT", 2022), and tell the others.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .codebook import TreeCodebook
from .model import VqganModel
from .prior import PER_UNIT
from .stages import STAGES, depths

ROUNDS = 4


def probabilities(logits: Tensor, depth: int) -> Tensor:
    """Logits (n, 2**DEPTH) of all inner nodes -> probabilities (n, 2**depth) of the nodes of a depth."""
    log = logits.new_zeros(len(logits), 1)
    for level in range(depth):
        at = logits[:, 1 << level : 2 << level] / PER_UNIT
        log = torch.stack([log + F.logsigmoid(-at), log + F.logsigmoid(at)], 2).flatten(1)
    return log.exp()


def restore(
    model: VqganModel, nodes: list[Tensor], lost: list[Tensor], quality: int, before: list[Tensor] | None
) -> tuple[list[Tensor], list[Tensor]]:
    """Fill the nodes (1, h, w) where `lost` is True: all nodes, and the words (1, size, h, w) of every stage."""
    filled: list[Tensor] = []
    words: list[Tensor] = []
    for stage, depth in enumerate(depths(quality)):
        found, book = nodes[stage].masked_fill(lost[stage], 0), model.codebook(stage)
        if depth == 0:
            filled.append(torch.zeros_like(found))
            words.append(model.words(stage, filled[-1]))
            continue
        past = torch.zeros_like(found) if before is None else before[stage]
        vectors = F.embedding(found, book.nodes).view(-1, STAGES[stage].size)
        for turn in range(ROUNDS):
            cells = (found.flatten() == 0).nonzero().squeeze(1)
            if len(cells) == 0:
                break
            told = model.told(stage, filled, (found.shape[1], found.shape[2]))
            hidden = model.prior(stage).hidden(told, found, past, torch.tensor([quality]))
            at = hidden[0].flatten(1)[:, cells].T
            surest, node, mean = guess(model, book, stage, at, depth)
            count = math.ceil(len(cells) / (ROUNDS - turn))
            chosen = surest.topk(count).indices
            found.view(-1)[cells[chosen]] = node[chosen]
            vectors[cells[chosen]] = mean[chosen]
        filled.append(found)
        words.append(vectors.view(*found.shape, -1).permute(0, 3, 1, 2))
    return filled, words


def guess(
    model: VqganModel, book: TreeCodebook, stage: int, hidden: Tensor, depth: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The likeliest node (n,) for hidden vectors (n, ...), how likely it is, and the mean word (n, size)."""
    parts = []
    for rows in hidden.split(2048):
        chance = probabilities(model.prior(stage).all_logits(rows), depth)
        likeliest, at = chance.max(1)
        parts.append((likeliest, at + (1 << depth), chance @ book.words(depth)))
    surest, node, mean = (torch.cat(part) for part in zip(*parts, strict=True))
    return surest, node, mean
