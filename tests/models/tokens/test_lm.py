"""Rows that live inside a language model, on TinyLM: exact where the idea is exact."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tessera.models.tokens import LayerSchedule, reduce, start
from tessera.models.tokens.modules.schedule import (
    attention_pattern,
    budget_plan,
    cache_bits,
    causal_mask,
    drop_after,
    layer_masks,
    pool_plan,
    pyramid,
    quantise,
    voco_clips_mask,
    voco_mask,
)
from tessera.models.tokens.types import TokenSet

from ...support.tiny_lm import Cache, Plan, TinyLM
from ...support.token_references import best
from ...support.token_samples import grid_of, random_grid, run

DIM = 48


def scene(t: int = 2, h: int = 4, w: int = 4) -> TokenSet:
    """Vision tokens of the model's width."""
    return start(random_grid(t, h, w, DIM))


def prompt(lm: TinyLM, tokens: TokenSet, text: int = 5) -> tuple[Tensor, Tensor, slice]:
    """[text][vision][text] embeddings, three-row positions, and where vision is."""
    words = lm.embed(torch.arange(text))
    vision = tokens.position_ids("mrope") + 2
    after = torch.arange(text - 2).expand(3, -1) + 2 + max(tokens.shape)
    pos = torch.cat([torch.arange(2).expand(3, -1), vision, after], 1).double()
    return torch.cat([words[:2], tokens.x.double(), words[2:]]), pos, slice(2, 2 + len(tokens))


def test_invariant_11_log_size_is_exact_without_rotary_positions() -> None:
    lm = TinyLM(rotary=False)
    single, full = duplicated()
    bias = torch.cat([torch.zeros(2), single.size.double().log(), torch.zeros(3)])
    x, pos, vision = prompt(lm, single)
    whole, where, _ = prompt(lm, full)
    see_all = Plan(vision=vision, mask=torch.ones(len(x), len(x), dtype=torch.bool), bias=bias)
    merged = lm(x, pos, see_all)
    plain = lm(whole, where, Plan(mask=torch.ones(len(whole), len(whole), dtype=torch.bool)))
    assert float((merged[-3:] - plain[-3:]).abs().max()) < 1e-10


def duplicated() -> tuple[TokenSet, TokenSet]:
    """Cells that come in pairs of equal ones, merged and not."""
    cells = random_grid(1, 4, 2, DIM).x.repeat_interleave(2, 2)
    grid = grid_of(cells)
    merged = reduce(grid, "pool", (1, 4, 2))
    assert merged.size.tolist() == [2] * 8
    return merged, start(grid)


def test_invariant_11_log_size_is_wrong_with_rotary_positions() -> None:
    lm = TinyLM()
    for layer in lm.layers:
        layer.qkv.weight.mul_(4)  # type: ignore[operator,union-attr]  # attention that minds
    single, full = duplicated()
    bias = torch.cat([torch.zeros(2), single.size.double().log(), torch.zeros(3)])
    x, _, vision = prompt(lm, single)
    whole, where, _ = prompt(lm, full)
    pos = torch.cat([where[:, :2], single.pos.T.double() + 2, where[:, -3:]], 1)  # mean positions
    mask = torch.ones(len(x), len(x), dtype=torch.bool)
    merged = lm(x, pos, Plan(vision=vision, mask=mask, bias=bias))
    plain = lm(whole, where, Plan(mask=torch.ones(len(whole), len(whole), dtype=torch.bool)))
    assert float((merged[-3:] - plain[-3:]).abs().max()) > 1e-3


def test_row_41_virtual_unmerging_is_exact_with_rotary_positions() -> None:
    """Attention of one layer over merged tokens, expanded by `assign`, equals that over the duplicated tokens."""
    lm = TinyLM(layers=1)
    single, full = duplicated()
    x, _, vision = prompt(lm, single)
    whole, where, everything = prompt(lm, full)
    pos = torch.cat([where[:, :2], single.pos.T.double() + 2, where[:, -3:]], 1)
    plan = Plan(vision=vision, assign=single.assign, cells=where[:, everything])
    assert float((lm(x, pos, plan)[-3:] - lm(whole, where)[-3:]).abs().max()) < 1e-12


def test_row_7_slow_fast_architecture() -> None:
    lm = TinyLM()
    grid = random_grid(4, 4, 4, DIM)
    fast = replace(reduce(grid, "pool", 8), memory=start(grid).x)
    x, pos, _ = prompt(lm, fast)
    assert fast.memory is not None
    plain = lm(x, pos)
    assert torch.equal(lm(x, pos, Plan(memory=fast.memory.double())), plain), "gates are closed"
    costs = []
    for n in (16, 32, 64):
        lm.products = 0
        lm(x, pos, Plan(memory=fast.memory[:n].double()))
        costs.append(lm.products)
    assert costs[2] - costs[1] == 2 * (costs[1] - costs[0]), "linear in the slow tokens"
    for layer in lm.layers:
        layer.gate.fill_(1.0)  # type: ignore[operator]
    assert not torch.equal(lm(x, pos, Plan(memory=fast.memory.double())), plain)


def test_row_12_llavolta() -> None:
    stages = ((0, 0.1), (100, 0.5), (200, 1.0))
    shares = [budget_plan(stages, step) for step in (0, 99, 100, 199, 200, 900)]
    assert shares == [0.1, 0.1, 0.5, 0.5, 1.0, 1.0]
    grid = random_grid()
    sets = [reduce(grid, "pool", share) for share in shares]
    assert [len(tokens) for tokens in sets] == [48, 48, 240, 240, 480, 480]
    assert torch.equal(sets[-1].x, grid.x.flatten(0, 2))
    with pytest.raises(ValueError, match="keeps every token"):
        budget_plan(((0, 0.5),), 3)


def test_row_13_voco() -> None:
    """Once the voco tokens hold the vision, its keys and values can go: the text's logits stay what they were."""
    lm, vision, voco, text = TinyLM(), 12, 3, 5
    x = torch.randn(vision + voco + text, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    pos = torch.arange(len(x))[None].double()
    full = lm(x, pos, Plan(mask=voco_mask(vision, voco, text)))[-text:]
    cache: Cache = []
    lm(x[: vision + voco], pos[:, : vision + voco], cache=cache)
    cache = [(k[:, vision:], v[:, vision:]) for k, v in cache]
    rest = lm(x[-text:], pos[:, -text:], Plan(mask=causal_mask(text)), cache)
    assert float((rest - full).abs().max()) < 1e-12
    assert cache[0][0].shape[1] == voco + text


def test_row_77_voco_over_clips() -> None:
    mask = voco_clips_mask(4, 2, 3, 3)
    assert mask.shape == (21, 21)
    assert not mask[6:10, 0:4].any() and mask[6:10, 4:6].all(), "clip 1 sees clip 0 through its voco tokens"
    assert not mask[18:, 12:16].any() and mask[18:, 16:18].all()
    lm = TinyLM()
    x = torch.randn(21, DIM, dtype=torch.float64)
    pos = torch.arange(21)[None].double()
    changed = x.clone()
    changed[14] += 1  # vision of the last clip
    a, b = lm(x, pos, Plan(mask=mask)), lm(changed, pos, Plan(mask=mask))
    assert torch.equal(a[:12], b[:12]) and not torch.equal(a[18:], b[18:])


def test_row_19_flash_and_row_54_vispec() -> None:
    """Speculative decoding with a draft on fewer tokens gives exactly the target's greedy output."""
    lm = TinyLM()
    weight = torch.rand(32, generator=torch.Generator().manual_seed(3))
    target = replace(scene(2, 4, 4), weight=weight)
    draft = target.draft(8)
    assert draft.index.tolist() == best(weight.tolist(), 8)
    assert torch.equal(draft.x, target.x[draft.index]) and torch.equal(draft.pos, target.pos[draft.index])
    assert torch.allclose(reduce(random_grid(2, 4, 4, DIM), "tome", 8).global_vec, target.x.mean(0), atol=1e-5)
    x, pos, _ = prompt(lm, target)
    small, where, _ = prompt(lm, draft)
    wanted = lm.greedy(x, pos, 12)
    found: list[int] = []
    accepted = 0
    while len(found) < 12:
        guess = lm.greedy(*continued(lm, small, where, found, float(pos.max())), 3)
        check, there = continued(lm, x, pos, found + guess, float(pos.max()))
        likeliest = lm(check, there)[-len(guess) - 1 :].argmax(-1).tolist()
        right = next((i for i in range(len(guess)) if guess[i] != likeliest[i]), len(guess))
        accepted += right
        found += [*guess[:right], likeliest[right]]
    assert found[:12] == wanted and accepted <= 12


def continued(lm: TinyLM, x: Tensor, pos: Tensor, ids: list[int], last: float) -> tuple[Tensor, Tensor]:
    """A prompt with generated ids after it; text of draft and target goes on at the same positions."""
    if not ids:
        return x, pos
    following = last + 1 + torch.arange(len(ids), dtype=torch.float64)
    return torch.cat([x, lm.embed(torch.tensor(ids))]), torch.cat([pos, following.expand(len(pos), -1)], 1)


def test_row_26_stages_run_in_the_model() -> None:
    lm = TinyLM()
    weight = torch.rand(32, generator=torch.Generator().manual_seed(4))
    tokens = pyramid(replace(scene(), weight=weight), {1: 0.5, 2: 0.25})
    assert tokens.schedule is not None
    assert [tokens.schedule.keep[layer].tolist() for layer in (1, 2)] == [best(weight.tolist(), n) for n in (16, 8)]
    x, pos, vision = prompt(lm, tokens)
    lm(x, pos, Plan(vision=vision, schedule=tokens.schedule))
    assert lm.alive == [37, 21, 13]


def test_row_50_all_tokens_go_after_a_layer() -> None:
    lm = TinyLM()
    tokens = drop_after(run("kcenter", random_grid(2, 4, 4, DIM), 10), 2)
    x, pos, vision = prompt(lm, tokens)
    cache: Cache = []
    lm(x, pos, Plan(vision=vision, schedule=tokens.schedule), cache)
    assert lm.alive == [15, 15, 5]
    assert [k.shape[1] for k, _ in cache] == [15, 15, 5], "a shorter cache"


def test_row_34_zipvl() -> None:
    """Keys and values in 8 or 2 bits by importance, against uniform bits of the same total."""
    tokens = scene(2, 6, 6)
    generator = torch.Generator().manual_seed(2)
    attention = torch.softmax(4 * torch.randn(72, generator=generator), 0)
    tokens = replace(tokens, weight=attention)
    rows = tokens.top_mass(0.9)
    values = torch.randn(72, 16, generator=generator)
    order = sorted(range(72), key=lambda n: -float(attention[n]))
    fewest = next(n for n in range(1, 73) if float(attention[order[:n]].double().sum()) >= 0.9)
    assert rows.tolist() == sorted(order[:fewest])
    bits = cache_bits(attention, 0.9)
    assert bits.tolist() == [8 if n in order[:fewest] else 2 for n in range(72)]
    even = torch.full_like(bits, int(bits.float().mean()))
    wanted = attention @ values
    coarse = quantise(values[:4], torch.full((4,), 2))
    assert all(len(row.unique()) <= 4 for row in coarse)
    step = (values[:4].amax(1) - values[:4].amin(1)) / 3
    assert bool(((coarse - values[:4]).abs() <= step[:, None] / 2 + 1e-5).all())
    errors = [float((attention @ quantise(values, b) - wanted).norm()) for b in (bits, even)]
    assert set(bits.tolist()) == {2, 8} and errors[0] < errors[1]


def test_row_59_dpn() -> None:
    assert pool_plan(30.0, 10.0, (1, 2), (2, 4, 4)) == LayerSchedule()
    easy, middle = (pool_plan(bits, 10.0, (1, 2), (2, 4, 4)) for bits in (2.0, 8.0))
    assert easy.pool == {1: (2, 2, 2), 2: (2, 1, 1)} and middle.pool == {2: (2, 2, 2)}
    lm = TinyLM()
    x, pos, vision = prompt(lm, scene())
    plain = lm(x, pos)
    lm(x, pos, Plan(vision=vision, schedule=easy, raster=(2, 4, 4)))
    assert lm.alive == [37, 13, 7]
    same = LayerSchedule(pool={1: (2, 4, 4)})
    assert torch.equal(lm(x, pos, Plan(vision=vision, schedule=same, raster=(2, 4, 4))), plain)


def test_row_61_sparse_vdit() -> None:
    """A mask of the pattern equals dense attention whose other entries are minus infinity."""
    shape = (2, 3, 3)
    bits = random_grid(2, 3, 3, 8).bits
    assert bits is not None
    stripes = bits.flatten() >= bits.flatten().topk(4).values[-1]
    q, k, v = torch.randn(3, 4, 18, 8).unbind(0)
    cells = [(t, y, x) for t in range(2) for y in range(3) for x in range(3)]
    near = [[abs(a[1] - b[1]) <= 1 and abs(a[2] - b[2]) <= 1 for b in cells] for a in cells]
    wanted = {
        "diagonal": [
            [n and a[0] == b[0] for n, b in zip(row, cells, strict=True)] for row, a in zip(near, cells, strict=True)
        ],
        "multi": near,
        "stripe": [[a == b or bool(stripes[k]) for k, b in enumerate(cells)] for a in cells],
    }
    for kind, allowed in wanted.items():
        mask = attention_pattern(shape, kind, stripes, reach=1)
        found = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        dense = (q @ k.transpose(1, 2) / 8**0.5).masked_fill(~mask, -torch.inf).softmax(-1) @ v
        assert torch.allclose(found, dense, atol=1e-5)
        assert mask.tolist() == allowed


def test_row_71_mixture_of_depths() -> None:
    lm = TinyLM()
    tokens = scene()
    x, pos, vision = prompt(lm, tokens)
    plain = lm(x, pos)
    lm.products = 0
    lm(x, pos)
    full = lm.products
    masks = layer_masks(tokens.weight, (1.0, 1.0, 1.0))
    text = torch.ones(3, 2, dtype=torch.bool), torch.ones(3, 3, dtype=torch.bool)
    assert torch.equal(lm(x, pos, Plan(active=torch.cat([text[0], masks, text[1]], 1))), plain)
    weight = torch.rand(32, generator=torch.Generator().manual_seed(5))
    masks = layer_masks(weight, (1.0, 0.25, 0.5))
    assert [row.nonzero().flatten().tolist() for row in masks] == [best(weight.tolist(), n) for n in (32, 8, 16)]
    masks = layer_masks(weight, (1.0, 0.25, 0.25))
    active = torch.cat([text[0], masks, text[1]], 1)
    lm.products = 0
    found = lm(x, pos, Plan(active=active))
    assert len(found) == len(x) and lm.products < 0.7 * full
    only = Plan(active=torch.zeros(3, len(x), dtype=torch.bool))
    assert torch.equal(lm(x, pos, only), lm.head(x)), "who skips every layer leaves as he came"


def test_row_20_v2pe() -> None:
    tokens = start(random_grid(16, 16, 16, 2))
    ids = tokens.position_ids("v2pe", stride=1 / 16) + 1000
    assert len(ids.unique()) == 4096 and bool((ids[0, 1:] > ids[0, :-1]).all())
    assert torch.equal(tokens.position_ids("v2pe", stride=1.0), tokens.position_ids("1d"))
    with pytest.raises(ValueError, match="bfloat16"):
        tokens.position_ids("v2pe", stride=1 / 16, dtype=torch.bfloat16)
    assert len(ids.bfloat16().unique()) == 36, "what the refusal is for"
