"""Trainable modules: fresh ones do nothing, trained ones do what is written out here."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tessera.models.tokens import reduce, start
from tessera.models.tokens.modules.resample import CrossAttention, Lookup, PatchMerge, Registers, Resampler, prefuse

from ...support.token_references import Rows, rows_of
from ...support.token_samples import random_grid

DIM = 16


def trained(module: nn.Module, seed: int = 0) -> nn.Module:
    """Every weight as if training had moved it, the zeros of a fresh module too."""
    generator = torch.Generator().manual_seed(seed)
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.3, generator=generator)
    return module


def looked(module: CrossAttention, queries: Tensor, memory: Tensor) -> Rows:
    """Cross-attention in numpy, head by head."""

    def normed(x: Tensor, norm: nn.LayerNorm) -> Rows:
        rows = rows_of(x.detach())
        rows = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + norm.eps)
        scaled: Rows = rows * rows_of(norm.weight.detach()) + rows_of(norm.bias.detach())
        return scaled

    asked, seen = normed(queries, module.norm), normed(memory, module.norm_memory)
    parts = [(module.query, asked), (module.key, seen), (module.value, seen)]
    q, k, v = (rows @ rows_of(layer.weight.detach()).T for layer, rows in parts)
    width, heads = q.shape[1] // module.heads, []
    for one in range(module.heads):
        own = slice(one * width, (one + 1) * width)
        odds = np.exp(q[:, own] @ k[:, own].T / width**0.5)
        heads.append(odds / odds.sum(1, keepdims=True) @ v[:, own])
    added = np.concatenate(heads, 1) @ rows_of(module.out.weight.detach()).T
    if module.gate is not None:
        added = np.tanh(float(module.gate.detach())) * added
    found: Rows = rows_of(queries.detach()) + added
    return found


def near(a: Tensor, b: Rows) -> bool:
    return bool(np.allclose(rows_of(a.detach()), b, atol=1e-4))


def test_cross_attention_by_hand() -> None:
    queries, memory = torch.randn(2, 7, DIM, generator=torch.Generator().manual_seed(1)).unbind(0)
    for gated in (False, True):
        fresh = CrossAttention(DIM, gated=gated)
        assert torch.equal(fresh(queries, memory), queries), "a fresh one adds nothing"
        module = trained(fresh)
        assert near(module(queries, memory), looked(fresh, queries, memory))
        mask = torch.zeros(7, 7, dtype=torch.bool)
        mask[:, 2:5] = True
        mask[6] = False
        masked = module(queries, memory, mask)
        assert near(masked[:6], looked(fresh, queries[:6], memory[2:5]))
        assert torch.equal(masked[6], queries[6]), "who may attend to nothing is left as it is"


def test_row_8_crosslmm() -> None:
    """Fresh, the resampler pools; trained, each pooled token looks at all cells of its run of frames."""
    grid = random_grid(4, 4, 4, DIM)
    tokens, pooled = start(grid), reduce(grid, "pool", (2, 2, 2))
    module = Resampler(DIM)
    found = module(tokens, (2, 2, 2))
    assert torch.equal(found.x, pooled.x) and torch.equal(found.memory, tokens.x)
    found = trained(module)(tokens, (2, 2, 2))
    for run in (0, 1):
        wanted = looked(module.look, pooled.x[4 * run : 4 * run + 4], tokens.x[32 * run : 32 * run + 32])
        assert near(found.x[4 * run : 4 * run + 4], wanted)


def test_row_22_vision_remember() -> None:
    """Each token looks at its own window alone."""
    grid = random_grid(1, 4, 4, DIM)
    plain = reduce(grid, "pool", (1, 2, 2))
    module = Resampler(DIM, local=True)
    assert torch.equal(module(start(grid), (1, 2, 2)).x, plain.x)
    found = trained(module)(start(grid), (1, 2, 2))
    for row in range(4):
        own = grid.x.view(16, DIM)[plain.assign == row]
        assert near(found.x[row : row + 1], looked(module.look, plain.x[row : row + 1], own))
    assert found.assign.tolist() == plain.assign.tolist()


def test_row_23_llava_mini() -> None:
    tokens = start(random_grid(10, 2, 2, DIM))
    module = Resampler(DIM)
    assert len(module(tokens, (10, 1, 1))) == 10
    assert torch.equal(module(tokens, (10, 2, 2)).x, tokens.x), "as many queries as cells give back the grid"
    text, look = torch.randn(3, DIM, generator=torch.Generator().manual_seed(2)), CrossAttention(DIM)
    assert torch.equal(prefuse(look, text, tokens), text)
    trained(look)
    assert near(prefuse(look, text, tokens), looked(look, text, tokens.x)), "text looks at every cell"


def test_row_42_hicom_and_row_46_tdc() -> None:
    """Local tokens see their window and the text; free ones see everything."""
    grid = random_grid(4, 4, 4, DIM)
    text = torch.randn(3, DIM, generator=torch.Generator().manual_seed(3))
    module = Resampler(DIM, local=True, extra=5)
    pooled = reduce(grid, "pool", (2, 2, 2))
    found = module(start(grid), (2, 2, 2), text=text)
    assert len(found) == 2 * 2 * 2 + 5 and found.query_dependent
    assert torch.equal(found.x[:8], pooled.x)
    assert found.level.tolist() == [0] * 8 + [1] * 5 and found.index[8:].tolist() == [-1] * 5
    assert found.pos[0].tolist() == [0.5, 0.5, 0.5]
    found = trained(module)(start(grid), (2, 2, 2), text=text)
    cells = grid.x.view(64, DIM)
    own = torch.cat([cells[pooled.assign == 5], text])
    assert near(found.x[5:6], looked(module.look, pooled.x[5:6], own))
    assert module.extra is not None and module.gather is not None
    assert near(found.x[8:], looked(module.gather, module.extra, torch.cat([cells, text])))


def test_row_40_falcon() -> None:
    """Registers read their own tile, then each other."""
    module = Registers(DIM, 6)
    trained(module)
    tiles = [torch.randn(n, DIM, generator=torch.Generator().manual_seed(n)) for n in (9, 25, 12)]
    found = module(tiles)
    own = torch.cat([torch.from_numpy(looked(module.read, module.registers, tile)).float() for tile in tiles])
    assert found.shape == (3, 6, DIM) and near(found, looked(module.talk, own, own))
    changed = module([tiles[0].square(), *tiles[1:]])
    assert not torch.allclose(changed[2], found[2]), "registers of other tiles hear of it"
    assert torch.allclose(module([tiles[2], tiles[0], tiles[1]]), found[[2, 0, 1]], atol=1e-5)
    fresh = Registers(DIM, 6)
    assert not torch.allclose(fresh(tiles), fresh.registers.expand(3, 6, DIM), atol=1e-2), "a fresh one reads as well"


def test_row_51_visfocus() -> None:
    """2 x 2 cells become their mean by a linear map; a prompt is looked at before."""
    module = PatchMerge(DIM)
    x, prompt = random_grid(2, 4, 4, DIM).x, torch.randn(3, DIM, generator=torch.Generator().manual_seed(4))
    plain = module(x)
    assert torch.allclose(plain, x.view(2, 2, 2, 2, 2, DIM).mean((2, 4)), atol=1e-6)
    assert torch.allclose(module(x, prompt), plain, atol=1e-6), "a fresh prompt changes nothing"
    trained(module.prompt)
    seen = torch.from_numpy(looked(module.prompt, x, prompt)).float().view_as(x)
    assert torch.allclose(module(x, prompt), module(seen), atol=1e-4) and torch.equal(module(x), plain)


def test_row_67_lookupvit() -> None:
    """Any square of queries, interpolated from one raster, gathers from the grid; the grid looks back at them."""
    module = Lookup(DIM)
    trained(module)
    x = torch.randn(30, DIM, generator=torch.Generator().manual_seed(5))
    base = module.base.detach()[0].flatten(1).T
    few, full = module(x, 4)
    assert near(few, looked(module.gather, base, x)) and near(full, looked(module.spread, x, few))
    for side in (2, 5):
        few, full = module(x, side)
        assert few.shape == (side * side, DIM) and near(full, looked(module.spread, x, few))
    pairs = base.view(2, 2, 2, 2, DIM).mean((1, 3)).view(4, DIM)
    assert near(module(x, 2)[0], looked(module.gather, pairs, x)), "bilinear: 2 x 2 queries are means of four"
