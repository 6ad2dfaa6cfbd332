"""Tokens in vision-language models: a tiny random model of transformers of every kind.

Exact: what enters a model through the adapter gives the logits of the model's own pixel path.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tessera.models.tokens import TokenSet, join, reduce, start
from tessera.models.tokens.prompt.huggingface import collate, embed, to_transformers
from tessera.models.tokens.prompt.kinds import ModelKind
from tessera.models.tokens.prompt.layout import lay_out

from ...support import tiny_vlm
from ...support.tiny_vlm import END, IMAGE, SECONDS, START, VIDEO, WIDTH
from ...support.token_samples import grid_of, random_grid

pytest.importorskip("transformers", reason="pip install 'tessera-codec[vlm]' brings transformers")

Stack = tuple[str, Any, tiny_vlm.Case, Tensor]


@pytest.fixture(scope="module", params=tiny_vlm.names())
def stack(request: pytest.FixtureRequest) -> Stack:
    """Kind, model, prompt, and what its vision part makes of the pixels."""
    return load(request.param)


def load(kind: str) -> Stack:
    model, case = tiny_vlm.make(kind), tiny_vlm.case(kind)
    return kind, model, case, tiny_vlm.features(model, kind, case)


def tokens_of(rows: Tensor, case: tiny_vlm.Case) -> TokenSet:
    grid = grid_of(rows.view(*case.shape, -1))
    grid.times = torch.arange(case.shape[0], dtype=torch.float64) * SECONDS
    return start(grid)


def generate(model: Any, steps: int = 3, **inputs: Any) -> tuple[list[int], Tensor]:
    """The ids that follow, none of them a placeholder, and their logits."""
    options: dict[str, Any] = {"do_sample": False, "eos_token_id": None, "output_logits": True}
    options["suppress_tokens"] = [IMAGE, VIDEO]
    made = model.generate(**inputs, **options, max_new_tokens=steps, return_dict_in_generate=True)
    return made.sequences[0, -steps:].tolist(), torch.stack(made.logits)


def logits(model: Any, **inputs: Any) -> Tensor:
    with torch.no_grad():
        return model(**inputs).logits  # type: ignore[no-any-return]


def test_equals_the_pixel_path(stack: Stack) -> None:
    """`model(**found)` and `generate(**found)`, for prompts with a placeholder per token and with one per run."""
    _, model, case, rows = stack
    pixels = {"input_ids": case.ids, "attention_mask": torch.ones_like(case.ids), **case.pixels}
    wanted, (ids, scores) = logits(model, **pixels), generate(model, **pixels)
    for prompt in (case.ids, case.short):
        found = tokens_of(rows, case).to_transformers(prompt, model)
        assert float((logits(model, **found) - wanted).abs().max()) == 0.0
        made, seen = generate(model, **found)
        assert made == ids and float((seen - scores).abs().max()) == 0.0
    turned = tokens_of(rows.roll(1, 0), case).to_transformers(case.ids, model)
    assert float((logits(model, **turned) - wanted).abs().max()) > 1e-2, "the model looks at its tokens"


def test_qwen3_mixes_a_picture_and_a_clip_and_adds_features_to_early_layers() -> None:
    _, model, case, rows = load("qwen3_vl")
    pixels = torch.randn(16, 96, generator=torch.Generator().manual_seed(5))
    thw = torch.tensor([[1, 4, 4]])
    with torch.no_grad():
        seen = model.model.get_image_features(pixels, thw)
    picture = torch.cat([seen.pooler_output[0], *(layer[0] for layer in seen.deepstack_features)], 1)
    ids = torch.cat([case.ids, torch.tensor([[START, *[IMAGE] * 4, END, 9]])], 1)
    kinds = (ids == VIDEO).int() * 2 + (ids == IMAGE).int()
    inputs = {**case.pixels, "pixel_values": pixels, "image_grid_thw": thw, "mm_token_type_ids": kinds}
    wanted = logits(model, input_ids=ids, **inputs)
    sets = [tokens_of(rows, case), start(grid_of(picture.view(1, 2, 2, -1)))]
    found = to_transformers(sets, ids, model)
    assert float((logits(model, **found) - wanted).abs().max()) == 0.0
    plain = [tokens_of(rows[:, :WIDTH], case), start(grid_of(picture[:, :WIDTH].reshape(1, 2, 2, -1)))]
    assert float((logits(model, **to_transformers(plain, ids, model)) - wanted).abs().max()) > 1e-2
    with pytest.raises(ValueError, match="1 .*runs|runs of 2"):
        to_transformers(sets, torch.tensor([START, VIDEO, END, IMAGE]), model)


def test_reduced_tokens_decode_step_by_step(stack: Stack) -> None:
    """Half of the tokens: every step of `generate` equals a full pass over all that was said so far."""
    _, model, case, rows = stack
    grid = tokens_of(rows, case)
    tokens = grid[torch.arange(len(grid)) % 2 == 0]
    found = tokens.to_transformers(case.short, model)
    made, scores = generate(model, **found)
    said: list[int] = []
    for number, following in enumerate(made):
        prompt = torch.cat([case.short[0], torch.tensor(said, dtype=torch.int64)])
        full = logits(model, **tokens.to_transformers(prompt, model))
        assert torch.allclose(full[:, -1], scores[number], atol=1e-4)
        said.append(following)


def test_a_padded_batch_gives_what_each_prompt_gives_alone(stack: Stack) -> None:
    name, model, case, rows = stack
    kind, tokens = ModelKind.of(model.config), tokens_of(rows, case)
    pair = [lay_out(case.short[0], [part], kind) for part in (tokens, tokens[torch.arange(len(tokens)) % 3 == 0])]
    labels = [torch.arange(len(prompt.ids)) for prompt in pair]
    alone = [logits(model, **embed(collate([prompt]), model, None, kind))[0] for prompt in pair]
    for side in ("left", "right"):
        batch = collate(pair, labels, side)
        both = logits(model, **{k: v for k, v in embed(batch, model, None, kind).items() if k != "labels"})
        for row, mine in zip(both, alone, strict=True):
            part = row[-len(mine) :] if side == "left" else row[: len(mine)]
            assert torch.allclose(part, mine, atol=1e-4)
            assert batch["labels"][:, -1 if side == "left" else 0].tolist()[0] >= 0
        missing = len(alone[0]) - len(alone[1])
        assert int((batch["labels"][1] == -100).sum()) == missing == int((batch["attention_mask"][1] == 0).sum())


def test_positions_of_the_kinds() -> None:
    """t, y, x of a clip of 3 x 2 x 2 half-second steps that starts at 4, and of the text behind it."""
    tokens = start(random_grid(3, 2, 2, 8))
    tokens.times = torch.tensor([0.0, 0.5, 1.0])
    ids = torch.tensor([5, 6, 7, START, VIDEO, END])
    one = ModelKind("qwen2_vl", (VIDEO,), VIDEO, mrope=True)
    found = lay_out(ids, [tokens], one).positions
    assert found[0, 4:16].tolist() == [4] * 4 + [5] * 4 + [6] * 4 and found[:, 16].tolist() == [6, 6, 6]
    assert found[1, 4:8].tolist() == [4, 4, 5, 5] and found[2, 4:8].tolist() == [4, 5, 4, 5]
    timed = lay_out(ids, [tokens], one, per_second=4.0).positions
    assert timed[0, 4:16].unique().tolist() == [4, 6, 8]
    fine = lay_out(ids, [tokens], one, scale=0.5).positions
    assert fine[1:, 4:16].unique().tolist() == [4] and fine[:, 16].tolist() == [5, 5, 5], "one step holds two cells"
    wide = lay_out(ids, [tokens], one, scale=2.0).positions
    assert wide[1, 4:16].unique().tolist() == [5, 7] and wide[:, 16].tolist() == [8, 8, 8]
    runs = torch.tensor([START, VIDEO, END, 3, START, VIDEO, END, 3, START, VIDEO, END])
    framed = lay_out(runs, [tokens], ModelKind("qwen3_vl", (VIDEO,), VIDEO, mrope=True, framed=True)).positions
    assert framed[0].tolist() == [0, 1, 1, 1, 1, 3, 4, 5, 6, 6, 6, 6, 8, 9, 10, 11, 11, 11, 11, 13]
    plain = lay_out(runs, [tokens], ModelKind("internvl", (VIDEO,), VIDEO)).positions
    assert plain.tolist() == [list(range(20))]


def test_a_frame_without_tokens_has_no_place() -> None:
    tokens = start(random_grid(3, 2, 2, 8))
    kept = tokens[torch.tensor([0, 3, 8])]
    kind = ModelKind("smolvlm", (VIDEO,), VIDEO, framed=True)
    found = lay_out(torch.tensor([5, VIDEO, 6, VIDEO, 7, VIDEO, 8]), [kept], kind)
    assert found.ids.tolist() == [5, VIDEO, VIDEO, 6, 7, VIDEO, 8]
    assert torch.equal(found.vision, kept.x) and found.places.sum() == 3


def test_runs_take_the_tokens_of_their_frames_whatever_the_order_of_the_set() -> None:
    """A joined set is in order of its parts; runs of frames are not."""
    grid = random_grid(2, 2, 2, 8)
    joined = join([reduce(grid, "pool", (2, 1, 1)), start(grid)])
    kind = ModelKind("internvl", (VIDEO,), VIDEO, framed=True)
    found = lay_out(torch.tensor([VIDEO, 6, VIDEO]), [joined], kind)
    wanted = torch.cat([joined.x[[0, 2, 3, 4, 5]], joined.x[[1, 6, 7, 8, 9]]])
    assert torch.equal(found.vision, wanted)


def test_a_plain_decoder_takes_tokens_at_a_placeholder_of_choice() -> None:
    model, tokens = tiny_vlm.llama(), start(random_grid(2, 2, 2, 16))
    projector = torch.nn.Linear(16, WIDTH)
    found = tokens.to_transformers(torch.tensor([5, 33, 6]), model, projector, token_id=33)
    words = model.get_input_embeddings()(torch.tensor([5, 6]))
    with torch.no_grad():
        by_hand = torch.cat([words[:1], projector(tokens.x), words[1:]])[None]
    assert torch.equal(logits(model, **found), logits(model, inputs_embeds=by_hand))
    found["inputs_embeds"].sum().backward()
    assert projector.weight.grad is not None
    with pytest.raises(ValueError, match="name one by token_id"):
        tokens.to_transformers(torch.tensor([5, 33, 6]), model, projector)


def test_bfloat16_models_get_bfloat16(stack: Stack) -> None:
    _, model, case, rows = stack
    inputs = tokens_of(rows, case).to_transformers(case.short, model.to(torch.bfloat16))
    assert inputs["inputs_embeds"].dtype == torch.bfloat16 and inputs["position_ids"].dtype == torch.int64
    assert bool(logits(model, **inputs).isfinite().all())
    model.to(torch.float32)


def test_models_of_no_known_kind_are_refused() -> None:
    from transformers import MllamaConfig

    with pytest.raises(ValueError, match="mllama are not known"):
        ModelKind.of(MllamaConfig(), 5)
    with pytest.raises(ValueError, match="no plain decoder"):
        ModelKind.of(tiny_vlm.make("qwen2_vl").config.text_config, 5)


@pytest.mark.parametrize(
    ("ids", "message"),
    [([5, 6], "no vision placeholder"), ([VIDEO, 5, VIDEO], "2 runs of 2"), ([VIDEO] * 5, "5 video placeholders")],
)
def test_prompts_that_do_not_fit_are_refused(ids: list[int], message: str) -> None:
    tokens = start(random_grid(3, 2, 2, 8))
    with pytest.raises(ValueError, match=message):
        lay_out(torch.tensor(ids), [tokens], ModelKind("qwen2_vl", (VIDEO,), VIDEO, mrope=True))


def test_tokens_of_another_width_are_refused() -> None:
    model = tiny_vlm.llama()
    with pytest.raises(ValueError, match="a projector is needed"):
        start(random_grid(3, 2, 2, 8)).to_transformers(torch.tensor([VIDEO]), model, token_id=VIDEO)
