"""Codebooks in training.  They are nested in a binary tree: node n has the children 2n and 2n + 1, and each depth is a
codebook of its own.

The 2**DEPTH leaves are the words of vector quantisation (van den Oord et al., 2017), moved by running means of what
chooses them; every inner node is the mean of the words below it, weighted by their use.  The nodes 2**d .. 2**(d+1) - 1
are a codebook of 2**d words, so that one tree serves 2..2**DEPTH words ("Extreme Image Compression using Fine-tuned
VQGANs", 2023, clusters a codebook by K-means to the same end), and the path from the root names a word in bits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .stages import DEAD, DEPTH, NODES

DECAY = 0.99  # part of the running means that remains after each step, as in van den Oord et al. (2017)


class TreeCodebook(nn.Module):
    """nodes (NODES, size); of the leaves: use (2**DEPTH,) and sums (2**DEPTH, size), running."""

    nodes: Tensor
    use: Tensor
    sums: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("nodes", torch.zeros(NODES, size))
        self.register_buffer("use", torch.ones(1 << DEPTH))
        self.register_buffer("sums", torch.zeros(1 << DEPTH, size))

    def words(self, depth: int) -> Tensor:
        """(2**depth, size): the codebook of that depth, 0 <= depth <= DEPTH."""
        return self.nodes[1 << depth : 2 << depth]

    def distances(self, x: Tensor, depth: int) -> Tensor:
        """Squared distances of x (n, size) to the words of a depth, less |x|**2: (n, 2**depth)."""
        words = self.words(depth)
        return torch.addmm(words.square().sum(1), x, words.T, alpha=-2.0)

    # -- training ----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def grow(self, samples: Tensor) -> None:
        """Split samples (n, size) again and again in two, by two-means started along the main axis of each part."""
        at = torch.ones(len(samples), dtype=torch.int64)
        self.nodes[1] = samples.mean(0)
        for depth in range(DEPTH):
            parents = torch.arange(1 << depth, 2 << depth)
            axis = self._axes(samples, at)
            self.nodes[2 * parents] = self.nodes[parents] - axis[parents]
            self.nodes[2 * parents + 1] = self.nodes[parents] + axis[parents]
            for _ in range(4):
                side = self._side(samples, at)
                self._means(samples, 2 * at + side)
            at = 2 * at + self._side(samples, at)
        for _ in range(4):
            ids = torch.cat([self.distances(part, DEPTH).argmin(1) for part in samples.split(8192)])
            self._means(samples, ids + (1 << DEPTH))
        self.use.copy_(torch.bincount(ids, minlength=1 << DEPTH).float() + 0.1)
        self.use.div_(self.use.mean())
        self.sums.copy_(self.words(DEPTH) * self.use[:, None])
        self.settle()

    def _axes(self, samples: Tensor, at: Tensor) -> Tensor:
        """(NODES, size): for every node, a vector of one standard deviation along its samples' main axis."""
        off = samples - self.nodes[at]
        count = torch.bincount(at, minlength=NODES).clamp(min=1)[:, None]
        axis = torch.zeros_like(self.nodes).index_add_(0, at, off.square())
        for _ in range(6):
            along = (off * axis[at]).sum(1, keepdim=True)
            axis = torch.zeros_like(self.nodes).index_add_(0, at, off * along)
            axis = axis / axis.norm(dim=1, keepdim=True).clamp(min=1e-12)
        along = (off * axis[at]).sum(1, keepdim=True)
        deviation = (torch.zeros(NODES, 1).index_add_(0, at, along.square()) / count).sqrt()
        return axis * deviation.clamp(min=1e-3)

    def _side(self, samples: Tensor, at: Tensor) -> Tensor:
        """1 where the second child of `at` is nearer, else 0."""
        first, second = self.nodes[2 * at], self.nodes[2 * at + 1]
        return ((samples - second).square().sum(1) < (samples - first).square().sum(1)).long()

    def _means(self, samples: Tensor, at: Tensor) -> None:
        """Move every node that has samples to their mean."""
        count = torch.bincount(at, minlength=NODES)
        total = torch.zeros_like(self.nodes).index_add_(0, at, samples)
        some = count > 0
        self.nodes[some] = total[some] / count[some, None]

    @torch.no_grad()
    def learn(self, x: Tensor, ids: Tensor) -> None:
        """Take x (n, size), coded with the leaves `ids` (n,), into the running means."""
        self.use.mul_(DECAY).index_add_(0, ids, torch.full((len(ids),), (1 - DECAY) * (1 << DEPTH) / max(len(ids), 1)))
        share = torch.full((len(ids), 1), (1 - DECAY) * (1 << DEPTH) / max(len(ids), 1))
        self.sums.mul_(DECAY).index_add_(0, ids, x * share)
        self.settle()

    @torch.no_grad()
    def revive(self) -> int:
        """Give words that are hardly used half of what their neighbour in the tree has; returns how many."""
        pairs = self.use.view(-1, 2)
        dead = (pairs < DEAD).any(1) & (pairs.sum(1) > 4 * DEAD)
        rows = dead.nonzero().squeeze(1)
        if len(rows):
            words = self.words(DEPTH).view(-1, 2, self.size)
            better = self.use.view(-1, 2)[rows].argmax(1)
            kept = words[rows, better]
            spread = 0.05 * kept.abs().mean() * torch.randn(len(rows), self.size)
            half = pairs[rows].sum(1, keepdim=True) / 2
            self.use.view(-1, 2)[rows] = half.expand(-1, 2)
            self.sums.view(-1, 2, self.size)[rows] = torch.stack([kept - spread, kept + spread], 1) * half[:, None]
            self.settle()
        return len(rows)

    @torch.no_grad()
    def settle(self) -> None:
        """Leaves from the running means, inner nodes from the leaves."""
        use = self.use.clamp(min=1e-4)[:, None]
        total, weight = self.sums, use
        self.nodes[1 << DEPTH :] = total / use
        for depth in range(DEPTH - 1, -1, -1):
            total, weight = (part.view(-1, 2, part.shape[1]).sum(1) for part in (total, weight))
            self.nodes[1 << depth : 2 << depth] = total / weight
