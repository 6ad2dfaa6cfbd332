"""Tokens in a real vision-language model: tiny random Qwen2-VL and Qwen2.5-VL models of transformers.

Exact: what enters the model through `to_transformers` gives the logits of the pixel path.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tessera.models.tokens import TokenSet, reduce, start
from tessera.models.tokens.prompt.huggingface import collate, to_transformers, to_vllm
from tessera.tools.peers.mend import mend_torchvision

from ...support.token_samples import grid_of, random_grid

transformers = pytest.importorskip("transformers", reason="pip install 'tessera-codec[vlm]' brings transformers")

NEW = int(transformers.__version__.split(".")[0]) >= 5
mend_torchvision()  # transformers imports torchvision where there is one
VIDEO, START, END = 60, 61, 62
TEXT = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
T, H, W = 3, 2, 2  # merged cells of the video
SECONDS = 0.5  # of one step of the grid


def config(kind: str) -> Any:
    """A configuration of a few thousand parameters."""
    text: dict[str, Any] = {**TEXT, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "type": "default", "rope_theta": 10000.0}
    text |= {"rope_scaling": rope, "rope_parameters": rope, "max_position_embeddings": 512}
    vision: dict[str, Any] = {"depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2}
    if kind == "qwen2_5_vl":
        vision |= {"hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32, "window_size": 16}
        vision |= {"fullatt_block_indexes": [1], "tokens_per_second": 4}
        made = transformers.Qwen2_5_VLConfig
    else:
        vision |= {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2}
        made = transformers.Qwen2VLConfig
    ids = {"video_token_id": VIDEO, "image_token_id": 59, "vision_start_token_id": START, "vision_end_token_id": END}
    return made(text_config=text, vision_config=vision, **ids)


@pytest.fixture(scope="module", params=["qwen2_vl", "qwen2_5_vl"])
def stack(request: pytest.FixtureRequest) -> tuple[str, Any]:
    torch.manual_seed(0)
    names = {"qwen2_vl": "Qwen2VLForConditionalGeneration", "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration"}
    model = getattr(transformers, names[request.param])(config(request.param)).eval()
    return request.param, model


def prompt(count: int = T * H * W) -> Tensor:
    return torch.tensor([[5, 6, 7, START, *[VIDEO] * count, END, 8, 9]])


def pixel_path(kind: str, model: Any) -> tuple[Tensor, Tensor]:
    """Logits of the pixel path, and the video's embeddings in it."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(T * 2 * H * 2 * W, 3 * 2 * 4 * 4, generator=generator)
    thw = torch.tensor([[T, 2 * H, 2 * W]])
    ids = prompt()
    inputs = {"input_ids": ids, "pixel_values_videos": pixels, "video_grid_thw": thw}
    inputs |= {"attention_mask": torch.ones_like(ids), "mm_token_type_ids": (ids == VIDEO).int() * 2}
    if kind == "qwen2_5_vl":
        inputs["second_per_grid_ts"] = torch.tensor([SECONDS])
    with torch.no_grad():
        seen = model.model.get_video_features(pixels, thw)
        embeds = seen.pooler_output if hasattr(seen, "pooler_output") else seen
        embeds = torch.cat(list(embeds)) if not isinstance(embeds, Tensor) else embeds
        return model(**inputs).logits, embeds


def options(kind: str) -> dict[str, Any]:
    """What reproduces the ids of the installed version."""
    given: dict[str, Any] = {"token_id": VIDEO, "text_start": "hw" if NEW else "max"}
    return given if kind == "qwen2_vl" else {**given, "seconds": SECONDS if NEW else int(SECONDS), "per_second": 4.0}


def tokens_of(embeds: Tensor) -> TokenSet:
    return start(grid_of(embeds.view(T, H, W, -1)))


def forward(model: Any, found: dict[str, Any], **more: Any) -> Any:
    names = ("inputs_embeds", "position_ids", "attention_mask")
    with torch.no_grad():
        return model(**{name: found[name] for name in names}, **more)


def test_equals_the_pixel_path(stack: tuple[str, Any]) -> None:
    kind, model = stack
    logits, embeds = pixel_path(kind, model)
    for ids in (prompt(), prompt(1)):
        found = to_transformers(tokens_of(embeds), ids, model.get_input_embeddings(), **options(kind))
        assert torch.equal(found["input_ids"], prompt())
        assert float((forward(model, found).logits - logits).abs().max()) == 0.0


def test_without_position_ids_the_logits_are_silently_wrong(stack: tuple[str, Any]) -> None:
    """Why ids are always passed."""
    if not NEW:
        pytest.skip("transformers 4 needs input ids where it gets no position ids, and says so")
    kind, model = stack
    logits, embeds = pixel_path(kind, model)
    found = to_transformers(tokens_of(embeds), prompt(), model.get_input_embeddings(), **options(kind))
    with torch.no_grad():
        wrong = model(inputs_embeds=found["inputs_embeds"]).logits
    assert float((wrong - logits).abs().max()) > 1e-4


def test_reduced_tokens_decode_step_by_step(stack: tuple[str, Any]) -> None:
    """Half of the tokens: a cached loop that counts from `next_position` equals a full pass at every step."""
    kind, model = stack
    _, embeds = pixel_path(kind, model)
    tokens = reduce(grid_of(embeds.view(T, H, W, -1)), "bits", 6)
    embed = model.get_input_embeddings()
    found = to_transformers(tokens, prompt(1), embed, **options(kind))
    assert found["inputs_embeds"].shape == (1, 13, 32)
    out, ids = forward(model, found, use_cache=True), [7]
    for step in range(4):
        position = torch.full((3, 1, 1), found["next_position"] + step)
        more = {"inputs_embeds": embed(torch.tensor([[ids[-1]]])), "position_ids": position}
        more["attention_mask"] = torch.ones(1, 14 + step, dtype=torch.int64)
        cached = forward(model, more, past_key_values=out.past_key_values, use_cache=True)
        full = to_transformers(tokens, torch.cat([prompt(1)[0], torch.tensor(ids)]), embed, **options(kind))
        full["position_ids"][:, 0, 13:] = found["next_position"] + torch.arange(len(ids))
        assert torch.allclose(cached.logits[:, -1], forward(model, full).logits[:, -1], atol=1e-5)
        ids.append(int(cached.logits[0, -1].argmax()))
        out = cached


def test_generate_takes_them(stack: tuple[str, Any]) -> None:
    if not NEW:
        pytest.skip("generate() of transformers 4 drops position ids that come with inputs_embeds")
    kind, model = stack
    _, embeds = pixel_path(kind, model)
    found = to_transformers(tokens_of(embeds), prompt(), model.get_input_embeddings(), **options(kind))
    first = int(forward(model, found).logits[0, -1].argmax())
    names = ("inputs_embeds", "position_ids", "attention_mask")
    made = model.generate(**{n: found[n] for n in names}, max_new_tokens=3, do_sample=False)
    assert int(made[0, 0]) == first


def test_positions_of_a_batch_and_padding(stack: tuple[str, Any]) -> None:
    kind, model = stack
    _, embeds = pixel_path(kind, model)
    grid, embed = grid_of(embeds.view(T, H, W, -1)), model.get_input_embeddings()
    pair = [to_transformers(reduce(grid, "pool", n), prompt(1), embed, **options(kind)) for n in (12, 4)]
    both = forward(model, collate(pair)).logits
    alone = forward(model, pair[1]).logits
    assert torch.allclose(both[1, -alone.shape[1] :], alone[0], atol=1e-5)


def test_text_starts_where_the_version_says() -> None:
    """The same prompt of 3 x 2 x 2 tokens starting at 4: text goes on at 6 in 5.23, at 9 in 4.57."""
    tokens, embed = start(random_grid(3, 2, 2, 8)), torch.nn.Embedding(64, 8)
    given: dict[str, Any] = {"token_id": VIDEO, "seconds": 0.5, "per_second": 4.0}
    new, old = (to_transformers(tokens, prompt(), embed, text_start=rule, **given) for rule in ("hw", "max"))
    assert new["position_ids"][:, 0, 16].tolist() == [6, 6, 6] and old["position_ids"][0, 0, 16] == 9
    assert new["position_ids"][0, 0, 4:16].unique().tolist() == [4, 6, 8]
    cut_to_int = to_transformers(tokens, prompt(), embed, token_id=VIDEO, seconds=int(0.5), per_second=4.0)
    assert cut_to_int["position_ids"][0, 0, 4:16].unique().tolist() == [4], "4.57 cuts seconds to a whole number"


@pytest.mark.parametrize(
    ("ids", "message"),
    [([5, 6], "no video placeholder"), ([VIDEO, 5, VIDEO], "more than one run"), ([VIDEO] * 5, "5 video placeholders")],
)
def test_prompts_that_do_not_fit_are_refused(ids: list[int], message: str) -> None:
    tokens = start(random_grid(3, 2, 2, 8))
    with pytest.raises(ValueError, match=message):
        to_transformers(tokens, torch.tensor(ids), torch.nn.Embedding(64, 8), token_id=VIDEO)
    with pytest.raises(ValueError, match="a projector is needed"):
        to_transformers(tokens, prompt(1), torch.nn.Embedding(64, 16), token_id=VIDEO)


def test_vllm_shape() -> None:
    tokens = reduce(random_grid(4, 8, 8, 16), "pool", (4, 2, 3))
    found = to_vllm(tokens, torch.nn.Linear(16, 32))
    assert found["video_embeds"].shape == (24, 32) and found["video_grid_thw"].tolist() == [[4, 4, 6]]
    with pytest.raises(ValueError, match="raster"):
        to_vllm(reduce(random_grid(), "bits", 9), torch.nn.Linear(16, 32))
