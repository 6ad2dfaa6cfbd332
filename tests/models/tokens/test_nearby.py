"""Batches, blocks and float32 against one frame at a time, whole matrices and float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tessera.models.tokens.methods import nearby
from tessera.models.tokens.methods.cluster import density_peaks, kcenter_rows, kmeans
from tessera.models.tokens.methods.matching import bipartite, greedy_labels

from ...support.token_references import partition


def batch(lengths: list[int], channels: int = 6, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Frames of these lengths side by side; channel 0 outweighs the others, as the low band of latents does."""
    x = torch.randn(len(lengths), max(lengths), channels, generator=torch.Generator().manual_seed(seed))
    x[..., 0] *= 30
    valid = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return torch.where(valid[..., None], x, 1e3), valid


def test_blocks_and_groups_find_what_a_whole_matrix_finds() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearby, "BLOCK", 20_000)
        for lengths in ([1300], [300, 280, 9, 1], [7, 5]):
            compare_with_matrix(lengths)


def compare_with_matrix(lengths: list[int]) -> None:
    x, valid = batch(lengths)
    x = nearby.centred(x, valid)
    far = torch.cdist(x.double(), x.double()).masked_fill(~valid[:, None], torch.inf)
    alone = far.masked_fill(torch.eye(x.shape[1], dtype=torch.bool), torch.inf)
    count = min(5, x.shape[1] - 1)
    squares, rows = nearby.neighbours(x, valid, count)
    wanted = alone.topk(count, largest=False)
    assert torch.allclose(squares[valid].double(), wanted.values[valid].square(), rtol=1e-4)
    there = torch.isfinite(squares)
    assert torch.allclose(far.square().gather(2, rows)[there].float(), squares[there], rtol=1e-4)
    centres = x[:, ::3]
    squares, rows = nearby.nearest(x, centres, valid[:, ::3])
    assert torch.equal(rows[valid], far[..., ::3].argmin(-1)[valid])
    values, rows = nearby.best_match(x, centres, valid[:, ::3])
    products = (x.double() @ centres.double().mT).masked_fill(~valid[:, None, ::3], -torch.inf)
    assert torch.equal(rows[valid], products.argmax(-1)[valid])
    assert torch.allclose(values[valid].double(), products.amax(-1)[valid], rtol=1e-4, atol=1e-3)


def test_frames_of_different_lengths_do_not_mind_each_other() -> None:
    lengths = [40, 33, 12, 2, 1]
    x, valid = batch(lengths, seed=1)
    counts, sizes = torch.tensor([9, 8, 20, 1, 1]), (torch.arange(valid.numel()).view(valid.shape) * 7) % 5 + 1
    together = [
        bipartite(x, sizes, valid, counts),
        bipartite(x, sizes, valid, torch.ones_like(counts), 0.7),
        density_peaks(x, valid, counts, 4),
        density_peaks(x, valid, counts, 4, 0.4),
        greedy_labels(x, valid, 0.7),
    ]
    for k, n in enumerate(lengths):
        own, there, some = x[k : k + 1, :n], valid[k : k + 1, :n], counts[k : k + 1]
        size = sizes[k : k + 1, :n]
        apart = [
            bipartite(own, size, there, some),
            bipartite(own, size, there, torch.ones_like(some), 0.7),
            density_peaks(own, there, some, 4),
            density_peaks(own, there, some, 4, 0.4),
            greedy_labels(own, there, 0.7),
        ]
        for a, b in zip(together, apart, strict=True):
            assert torch.equal(a[k, :n], b[0]) and int(b.min()) == 0


def test_float32_chooses_what_float64_does() -> None:
    x = batch([700], 12, seed=2)[0][0]
    exact = x.double()
    chosen, gaps = [5], torch.full((700,), torch.inf, dtype=torch.float64)
    while len(chosen) < 80:
        gaps = torch.minimum(gaps, (exact - exact[chosen[-1]]).square().sum(1))
        gaps[chosen] = -1
        chosen.append(int(gaps.argmax()))
    assert kcenter_rows(x, 80, 5).tolist() == chosen
    centres = exact[kcenter_rows(x, 30)]
    for _ in range(5):
        labels = torch.cdist(exact, centres).argmin(1)
        centres = torch.stack([exact[labels == k].mean(0) if (labels == k).any() else centres[k] for k in range(30)])
    assert partition(kmeans(x, 30, 4)) == partition(labels)
