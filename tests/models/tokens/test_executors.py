"""Executors in tiny Qwen2-VL and Llama models: nothing dropped is the plain model, else a loop over its layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tessera.models.tokens import TokenSet, reduce, start
from tessera.models.tokens.executors import (
    Following,
    LowBits,
    Masked,
    Skipping,
    Unmerged,
    fastv,
    feather,
    pyramid_drop,
    speculate,
)
from tessera.models.tokens.executors.hooks import Executor
from tessera.models.tokens.modules.schedule import drop_after, layer_masks, pyramid, quantise, voco_mask
from tessera.models.tokens.prompt.kinds import ModelKind
from tessera.models.tokens.prompt.layout import lay_out
from tessera.models.tokens.types import LayerSchedule

from ...support import tiny_vlm
from ...support.tiny_vlm import END, START, VIDEO, WIDTH
from ...support.token_samples import grid_of, random_grid

pytest.importorskip("transformers", reason="pip install 'tessera-codec[vlm]' brings transformers")

LAYERS, COUNT, BEFORE = 4, 18, 4  # layers, vision tokens, and text before them
IDS = torch.tensor([5, 6, 7, START, VIDEO, END, 8, 9])
STEPS = 2


class Stand:
    """A model, a prompt, and the model's layers one by one."""

    def __init__(self, name: str, attention: str) -> None:
        make: dict[str, Callable[[], Any]] = {
            "qwen2_vl": lambda: tiny_vlm.make("qwen2_vl", LAYERS),
            "llama": lambda: tiny_vlm.llama(LAYERS),
        }
        self.name, self.model = name, make[name]()
        self.model.set_attn_implementation(attention)
        self.kind = ModelKind.of(self.model.config, VIDEO)
        self.tokens = start(random_grid(2, 3, 3, WIDTH))
        self.tokens.x *= 0.5
        self.inputs, self.places = self.prompt(self.tokens)
        self.decoder = self.model.get_decoder()

    def prompt(self, tokens: TokenSet, ids: Tensor = IDS) -> tuple[dict[str, Any], Tensor]:
        found = tokens.to_transformers(ids, self.model, token_id=VIDEO)
        return found, lay_out(ids, [tokens], self.kind).places

    def logits(self, inputs: dict[str, Any] | None = None, executor: Executor | None = None) -> Tensor:
        with torch.no_grad():
            if executor is None:
                return self.model(**(inputs or self.inputs)).logits[0]  # type: ignore[no-any-return]
            with executor.on(self.model):
                return self.model(**(inputs or self.inputs)).logits[0]  # type: ignore[no-any-return]

    def generate(self, executor: Executor | None = None, inputs: dict[str, Any] | None = None) -> tuple[Tensor, Tensor]:
        """The ids that follow, and their logits."""
        options = {"do_sample": False, "eos_token_id": None, "output_logits": True, "return_dict_in_generate": True}
        given = {**(inputs or self.inputs), **options, "suppress_tokens": [VIDEO, 59], "max_new_tokens": STEPS}
        if executor is None:
            made = self.model.generate(**given)
        else:
            with executor.on(self.model):
                made = self.model.generate(**given)
        return made.sequences[0], torch.cat(made.logits)

    def run(self, rows_of: Callable[[int], Tensor], said: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Logits of prompt and said ids without cache or hooks: every layer gets its rows, by a loop."""
        hidden, positions = self.inputs["inputs_embeds"], self.inputs["position_ids"]
        if said is not None:
            hidden = torch.cat([hidden, self.model.get_input_embeddings()(said)[None]], 1)
            more = positions[..., -1:] + 1 + torch.arange(len(said))
            positions = torch.cat([positions, more], -1)
        length = hidden.shape[1]
        cos, sin = self.decoder.rotary_emb(hidden, position_ids=positions)
        seen = torch.ones(length, length, dtype=torch.bool).tril() if mask is None else mask
        with torch.no_grad():
            for number, layer in enumerate(self.decoder.layers):
                rows = torch.cat([rows_of(number), torch.arange(len(self.places), length)])
                given = torch.where(seen[rows][:, rows], 0.0, torch.finfo(torch.float32).min)[None, None]
                angles = cos[:, rows], sin[:, rows]
                out = layer(hidden[:, rows], attention_mask=given, position_embeddings=angles)
                hidden = hidden.index_copy(1, rows, out)
            return self.model.lm_head(self.decoder.norm(hidden))[0]  # type: ignore[no-any-return]

    def attention(self, layer: int, rows_of: Callable[[int], Tensor], free: bool = False) -> Tensor:
        """(L,) what the last token of the prompt pays to every row in a layer; recomputed from the weights."""
        inner = self.decoder.layers[layer]
        caught: list[Tensor] = []
        with inner.register_forward_pre_hook(lambda _, args: caught.append(args[0])):
            self.run(rows_of)
        rows, module = rows_of(layer), inner.self_attn
        x = inner.input_layernorm(caught[0])[0]
        q, k = (part(x).unflatten(-1, (2, 16)).transpose(0, 1) for part in (module.q_proj, module.k_proj))
        if not free:
            cos, sin = self.decoder.rotary_emb(caught[0], position_ids=self.inputs["position_ids"][..., rows])
            q, k = (part * cos[0] + torch.cat([-part[..., 8:], part[..., :8]], -1) * sin[0] for part in (q, k))
        weight = (torch.einsum("hd,hkd->hk", q[:, -1], k) / 4).softmax(-1)
        return torch.zeros(len(self.places)).index_copy(0, rows, weight.mean(0))


@pytest.fixture(scope="module", params=["qwen2_vl-sdpa", "llama-eager"])
def stand(request: pytest.FixtureRequest) -> Stand:
    return Stand(*request.param.split("-"))


def with_text(stand: Stand, vision: Tensor) -> Tensor:
    rows = torch.zeros(len(stand.places), dtype=torch.bool)
    rows[~stand.places] = True
    rows[stand.places.nonzero().squeeze(1)[vision]] = True
    return rows.nonzero().squeeze(1)


def test_nothing_dropped_is_the_plain_model(stand: Stand) -> None:
    """Logits and generated logits, without any difference."""
    places, plain = stand.places, stand.logits()
    causal = torch.ones(len(places), len(places), dtype=torch.bool).tril()
    every = torch.arange(COUNT)
    said, scores = stand.generate()
    for executor in (
        fastv(places, 2, 1.0),
        pyramid_drop(places, {1: 1.0, 3: 1.0}),
        feather(places, 1, 1.0, 3, 1.0),
        Following(places, LayerSchedule(keep={1: every})),
        Skipping(places, layer_masks(stand.tokens.weight, [1.0] * LAYERS)),
        Masked(places, causal),
        Masked(places, causal, forget=True),
        LowBits(places, 0.5, 16, 16),
    ):
        bound = 1e-5 if isinstance(executor, Masked) else 0.0  # causality as a mask takes another kernel
        assert float((stand.logits(executor=executor) - plain).abs().max()) <= bound, executor
        made, seen = stand.generate(executor)
        assert torch.equal(made, said) and float((seen - scores).abs().max()) <= bound, executor
    assert float((stand.logits() - plain).abs().max()) == 0, "hooks are gone"


def check(stand: Stand, executor: Executor, rows_of: Callable[[int], Tensor]) -> None:
    """Text's logits and three generated steps, against the loop."""
    text = ~stand.places
    assert torch.allclose(stand.logits(executor=executor)[text], stand.run(rows_of)[text], atol=1e-4)
    said, scores = stand.generate(executor)
    for step in range(STEPS):
        wanted = stand.run(rows_of, said[:step])[-1]
        assert torch.allclose(scores[step], wanted, atol=1e-4), step
    assert not torch.allclose(scores, stand.generate()[1], atol=1e-3), "what was dropped mattered"


def test_row_26_and_row_50_schedules_are_followed(stand: Stand) -> None:
    """PyramidDrop's shape by the weight of tokens; ToDRE's second stage."""
    tokens = replace(stand.tokens, weight=torch.rand(COUNT, generator=torch.Generator().manual_seed(4)))
    for planned in (pyramid(tokens, {1: 0.5, 3: 0.2}), drop_after(tokens, 2)):
        assert planned.schedule is not None
        keep = planned.schedule.keep

        def rows_of(layer: int, keep: dict[int, Tensor] = keep) -> Tensor:
            due = [begin for begin in keep if begin <= layer]
            return with_text(stand, keep[max(due)] if due else torch.arange(COUNT))

        check(stand, Following(stand.places, planned.schedule), rows_of)


def test_row_71_mixture_of_depths(stand: Stand) -> None:
    masks = torch.rand(LAYERS, COUNT, generator=torch.Generator().manual_seed(5)) < 0.4
    masks[0] = True
    check(stand, Skipping(stand.places, masks), lambda layer: with_text(stand, masks[layer].nonzero().squeeze(1)))
    masks[0, 3] = False
    with pytest.raises(ValueError, match="layer 0"):
        stand.logits(executor=Skipping(stand.places, masks))


@pytest.mark.parametrize("free", [False, True])
def test_fastv_pyramiddrop_and_feather_drop_what_got_least_attention(stand: Stand, free: bool) -> None:
    """The ranking is recomputed from projections, with and without rotary positions."""
    stages = {1: 9, 3: 4}
    vision = stand.places.nonzero().squeeze(1)
    kept: dict[int, Tensor] = {}

    def rows_of(layer: int) -> Tensor:
        due = [begin for begin in kept if begin <= layer]
        return with_text(stand, kept[max(due)]) if due else torch.arange(len(stand.places))

    for begin, count in stages.items():
        alive = kept[max(kept)] if kept else torch.arange(COUNT)
        paid = stand.attention(begin - 1, rows_of, free)[vision[alive]]
        if free:  # one in three at equal steps, the others by attention
            spread = {3: [0, 8, 17], 1: [0]}[count // 3]
            paid[spread] = 2.0
        kept[begin] = alive[paid.topk(count).indices].sort().values
    shares = {begin: count / COUNT for begin, count in stages.items()}
    if free:
        executor = feather(stand.places, 1, shares[1], 3, shares[3], even=1 / 3)
    else:
        executor = pyramid_drop(stand.places, shares)
    check(stand, executor, rows_of)
    assert [len(executor.kept[begin]) for begin in stages] == [9, 4]
    if not free:
        only = fastv(stand.places, 1, 0.5)
        stand.logits(executor=only)
        assert torch.equal(only.kept[1], vision[kept[1]])


@pytest.mark.parametrize("forget", [False, True])
def test_row_13_voco_masks(stand: Stand, forget: bool) -> None:
    """The last three vision tokens are voco tokens: text sees them, and no other vision token."""
    length, begin, end = len(stand.places), BEFORE, BEFORE + COUNT
    mask = torch.ones(length, length, dtype=torch.bool).tril()
    mask[end:, begin : end - 3] = False
    assert torch.equal(mask[begin:, begin:], voco_mask(COUNT - 3, 3, length - end))
    executor = Masked(stand.places, mask, forget)
    every = torch.arange(length)
    assert torch.allclose(stand.logits(executor=executor), stand.run(lambda _: every, mask=mask), atol=1e-4)
    said, scores = stand.generate(executor)
    for step in range(STEPS):
        grown = torch.ones(length + step, length + step, dtype=torch.bool).tril()
        grown[end:, begin : end - 3] = False
        assert torch.allclose(scores[step], stand.run(lambda _: every, said[:step], grown)[-1], atol=1e-4)
    held = [len(executor.keys[layer]) for layer in range(LAYERS)]
    assert held == [length, *[length - COUNT + 3 if forget else length] * (LAYERS - 1)]
    assert not torch.allclose(scores, stand.generate()[1], atol=1e-3)


def test_row_34_zipvl_rounds_the_cache(stand: Stand) -> None:
    """The cache holds the keys and values of the plain model, rounded by hand; text's are as they were."""
    executor = LowBits(stand.places, 0.6, 8, 2)
    with torch.no_grad():
        plain = stand.model(**stand.inputs, use_cache=True)
        with executor.on(stand.model):
            out = stand.model(**stand.inputs, use_cache=True)
    assert torch.allclose(out.logits, plain.logits, atol=1e-5), "reading the prompt is exact"
    rows, text = stand.places, ~stand.places
    for layer in range(LAYERS):
        bits = executor.bits[layer]
        paid = stand.attention(layer, lambda _: torch.arange(len(rows)))[rows]
        order = paid.argsort(descending=True)
        fewest = int((paid[order].cumsum(0) < 0.6 * paid.sum()).sum()) + 1
        assert (bits == 8).nonzero().squeeze(1).tolist() == sorted(order[:fewest].tolist())
        for name in ("keys", "values"):
            exact, held = (getattr(one.cache.layers[layer], name)[0] for one in (plain, out))
            assert torch.equal(held[:, text], exact[:, text])
            assert torch.allclose(held[:, rows], quantise(exact[:, rows], bits.float()), atol=1e-5)
            assert not torch.allclose(held[:, rows], exact[:, rows], atol=1e-3)
    assert not torch.allclose(stand.generate(executor)[1][1:], stand.generate()[1][1:], atol=1e-4)


def merged_pairs() -> tuple[TokenSet, TokenSet]:
    """Cells that come in pairs of equal ones, merged and not."""
    cells = random_grid(1, 3, 3, WIDTH).x.repeat_interleave(2, 2) * 0.5
    grid = grid_of(cells)
    merged = reduce(grid, "pool", (1, 3, 3))
    assert merged.size.tolist() == [2] * 9
    return merged, start(grid)


def unmerged(stand: Stand, merged: TokenSet, full: TokenSet) -> tuple[dict[str, Any], Unmerged]:
    inputs, places = stand.prompt(merged)
    return inputs, Unmerged(places, merged.assign, lay_out(IDS, [full], stand.kind).positions)


def test_row_41_virtual_unmerging(stand: Stand) -> None:
    """One layer is exactly the layer over all cells; where every cell is its own token, all layers are."""
    inputs, executor = unmerged(stand, stand.tokens, stand.tokens)
    assert torch.allclose(stand.logits(inputs, executor), stand.logits(), atol=1e-4)
    assert torch.allclose(stand.generate(executor, inputs)[1], stand.generate()[1], atol=1e-4)
    merged, full = merged_pairs()
    layers = stand.decoder.layers
    stand.decoder.layers = layers[:1]
    stand.decoder.config.num_hidden_layers = 1
    try:
        inputs, executor = unmerged(stand, merged, full)
        said, scores = stand.generate(executor, inputs)
        whole, _ = stand.prompt(full)
        wanted_said, wanted = stand.generate(None, whole)
        assert torch.equal(said, wanted_said) and torch.allclose(scores, wanted, atol=1e-4)
        assert not torch.allclose(stand.generate(None, inputs)[1], wanted, atol=1e-3), "merged tokens alone are not"
    finally:
        stand.decoder.layers = layers
        stand.decoder.config.num_hidden_layers = LAYERS


def test_row_19_and_row_54_drafts_are_checked(stand: Stand) -> None:
    """Whatever the draft guesses, the ids are those of greedy decoding; good guesses save calls."""
    options = {"do_sample": False, "eos_token_id": None, "max_new_tokens": 8}
    wanted = stand.model.generate(**stand.inputs, **options)[0]
    few, _ = stand.prompt(stand.tokens.draft(6))
    found = speculate(stand.model, stand.inputs, few, 8, ahead=3)
    assert torch.equal(found.ids, wanted) and found.accepted <= found.guessed
    sure = speculate(stand.model, stand.inputs, stand.inputs, 8, ahead=3)
    assert torch.equal(sure.ids, wanted) and sure.accepted == sure.guessed and sure.calls == 3
    other = tiny_vlm.llama(1, seed=3) if stand.name == "llama" else tiny_vlm.make("qwen2_vl", 1, seed=3)
    poor = speculate(stand.model, stand.inputs, few, 8, ahead=3, draft_model=other)
    assert torch.equal(poor.ids, wanted) and poor.accepted < poor.guessed
    stop = int(wanted[4])
    ended = speculate(stand.model, stand.inputs, few, 8, ahead=3, stop=stop).ids
    assert torch.equal(ended, wanted[: wanted.tolist().index(stop) + 1])


@pytest.mark.parametrize("kind", ["qwen3_vl", "internvl", "llava_onevision"])
def test_the_hooks_fit_every_kind(kind: str) -> None:
    """Also where early layers get features of their own, and where the text model is another one."""
    model, case = tiny_vlm.make(kind, 3), tiny_vlm.case(kind)
    grid = grid_of(tiny_vlm.features(model, kind, case).view(*case.shape, -1))
    inputs = start(grid).to_transformers(case.short, model)
    places = lay_out(case.short[0], [start(grid)], ModelKind.of(model.config)).places
    with torch.no_grad():
        plain = model(**inputs).logits
        with fastv(places, 1, 1.0).on(model):
            assert torch.equal(model(**inputs).logits, plain)
        executor = fastv(places, 1, 0.5)
        with executor.on(model):
            assert not torch.allclose(model(**inputs).logits, plain, atol=1e-3)
        assert len(executor.kept[1]) == int(places.sum()) // 2
