"""Tree codebooks: every depth a codebook, grown on samples, moved by running means, dead words revived."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tessera.models.vqgan.codebook import TreeCodebook
from tessera.models.vqgan.stages import DEAD, DEPTH

SIZE = 3


@pytest.fixture(scope="module")
def samples() -> Tensor:
    """Eight clusters at the corners of a cube, of different extent along each axis."""
    generator = torch.Generator().manual_seed(1)
    corner = torch.randint(2, (4000, SIZE), generator=generator) * torch.tensor([40.0, 20.0, 10.0])
    return corner + torch.randn(4000, SIZE, generator=generator)


@pytest.fixture(scope="module")
def book(samples: Tensor) -> TreeCodebook:
    made = TreeCodebook(SIZE)
    made.grow(samples)
    return made


def error(book: TreeCodebook, x: Tensor, depth: int) -> float:
    return float((book.distances(x, depth).amin(1) + x.square().sum(1)).mean())


def test_inner_nodes_are_means_of_leaves_by_their_use(book: TreeCodebook) -> None:
    leaves, use = book.words(DEPTH).double(), book.use.double()
    for depth in range(DEPTH):
        below = 1 << (DEPTH - depth)
        weight = use.view(-1, below, 1)
        mean = (leaves.view(-1, below, SIZE) * weight).sum(1) / weight.sum(1)
        assert torch.allclose(book.words(depth).double(), mean, atol=1e-3)


def test_grow_finds_known_clusters_and_each_depth_is_better(book: TreeCodebook, samples: Tensor) -> None:
    """The paper of row 6 clusters a codebook by K-means; here K = 2..1024 stand in one tree."""
    found = book.words(3)
    corners = torch.cartesian_prod(torch.tensor([0.0, 40]), torch.tensor([0.0, 20]), torch.tensor([0.0, 10]))
    assert float(torch.cdist(corners, found).amin(1).max()) < 1.0
    assert float(torch.cdist(found, corners).amin(1).max()) < 1.0
    errors = [error(book, samples, depth) for depth in range(DEPTH + 1)]
    assert errors == sorted(errors, reverse=True) and errors[0] > 400 and errors[3] < 4 and errors[DEPTH] < 0.2
    assert errors[0] == pytest.approx(float((samples - samples.mean(0)).square().sum(1).mean()), rel=0.02)


def test_distances_are_squared_distances_less_the_length(book: TreeCodebook, samples: Tensor) -> None:
    x = samples[:20]
    plain = torch.cdist(x.double(), book.words(5).double()).square() - x.double().square().sum(1, keepdim=True)
    assert torch.allclose(book.distances(x, 5).double(), plain, atol=1e-2)


def test_words_follow_what_chooses_them() -> None:
    book = TreeCodebook(SIZE)
    book.settle()
    target = torch.tensor([5.0, -3.0, 1.0])
    for _ in range(600):
        book.learn(target.expand(8, SIZE), torch.full((8,), 7))
    assert torch.allclose(book.words(DEPTH)[7], target, atol=0.1)
    assert float(book.use.sum()) == pytest.approx(1 << DEPTH, rel=0.01)
    assert float(book.use.argmax()) == 7 and float(book.words(DEPTH)[8].abs().max()) == 0.0
    assert torch.allclose(book.nodes[1], target, atol=0.3), "the root is the mean of what is used"


def test_dead_words_are_revived_beside_their_neighbour() -> None:
    book = TreeCodebook(SIZE)
    book.use[10], book.use[11] = 2.0, 0.001
    book.sums[10] = torch.tensor([8.0, 8.0, 8.0]) * 2.0
    book.settle()
    torch.manual_seed(0)
    assert book.revive() == 1
    words = book.words(DEPTH)[10:12]
    assert bool((book.use > DEAD * book.use.mean()).all()) and float(book.use[10:12].sum()) == pytest.approx(2.001)
    assert float((words - 8.0).abs().max()) < 3 and not torch.equal(words[0], words[1])
    assert torch.allclose(words.mean(0), torch.full((SIZE,), 8.0))
    assert book.revive() == 0
