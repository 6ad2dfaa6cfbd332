"""Tokens as vLLM documents its input: fields, shapes, and positions that the server counts by the raster."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tessera.models.tokens import TokenSet, reduce, start
from tessera.models.tokens.prompt.vllm import to_vllm, to_vllm_prompt

from ...support import tiny_vlm
from ...support.tiny_vlm import END, START, VIDEO, WIDTH
from ...support.token_samples import random_grid

pytest.importorskip("transformers", reason="pip install 'tessera-codec[vlm]' brings transformers")

FIELDS = {  # what vLLM 0.33 requires of a clip, and what it reads besides
    "qwen2_vl": {"video_embeds", "video_grid_thw"},
    "qwen2_5_vl": {"video_embeds", "video_grid_thw", "second_per_grid_ts"},
    "qwen3_vl": {"video_embeds", "video_grid_thw", "timestamps"},
}


def pooled() -> TokenSet:
    """Six frames, half a second apart, pooled to 3 x 2 x 3."""
    grid = random_grid(6, 8, 9, 16)
    grid.times = torch.arange(6, dtype=torch.float64) / 2 + 10
    return reduce(grid, "pool", (3, 2, 3))


@pytest.mark.parametrize("kind", FIELDS)
def test_fields_and_shapes(kind: str) -> None:
    config = tiny_vlm.make(kind).config
    width = WIDTH * (3 if kind == "qwen3_vl" else 1)
    found = to_vllm(pooled(), config, torch.nn.Linear(16, width))["video"]
    assert set(found) == FIELDS[kind]
    merge = config.vision_config.spatial_merge_size
    assert found["video_embeds"].shape == (int(found["video_grid_thw"].prod()) // merge**2, width)
    assert found["video_grid_thw"].tolist() == [[3, 4, 6]] and found["video_grid_thw"].dtype == torch.int64
    assert not found["video_embeds"].requires_grad
    if kind == "qwen2_5_vl":
        assert found["second_per_grid_ts"].tolist() == [1.0]
    if kind == "qwen3_vl":
        assert found["timestamps"] == [[10.25, 11.25, 12.25]], "the mean time of two frames each"
    one = to_vllm(start(random_grid(1, 2, 2, 16)), config, torch.nn.Linear(16, width), picture=True)
    assert set(one) == {"image"} and set(one["image"]) == {"image_embeds", "image_grid_thw"}


@pytest.mark.parametrize("kind", FIELDS)
def test_the_server_counts_the_positions_that_the_adapter_gives(kind: str) -> None:
    """Positions from grid and seconds, by the model's own rule, are those of `to_transformers`."""
    model = tiny_vlm.make(kind)
    grid = random_grid(3, 2, 3, WIDTH)
    grid.times = torch.arange(3, dtype=torch.float64) / 2
    tokens = start(grid)
    if kind == "qwen3_vl":
        tokens.x = tokens.x.repeat(1, 3)
    case = tiny_vlm.case(kind)
    fields: dict[str, Any] = to_vllm(tokens, model.config)["video"]
    given = {name: fields[name] for name in ("video_grid_thw", "second_per_grid_ts") if name in fields}
    kinds = (case.ids == VIDEO).int() * 2
    wanted, _ = model.model.get_rope_index(case.ids, mm_token_type_ids=kinds, **given)
    assert torch.equal(tokens.to_transformers(case.short, model)["position_ids"], wanted)


def test_models_with_plain_positions_take_whole_prompts() -> None:
    model = tiny_vlm.make("internvl")
    tokens = reduce(random_grid(2, 4, 4, WIDTH), "bits", 5)
    inputs = tokens.to_transformers(torch.tensor([5, START, tiny_vlm.IMAGE, END, 6]), model)
    assert torch.equal(to_vllm_prompt(inputs)["prompt_embeds"], inputs["inputs_embeds"][0])
    qwen = start(random_grid(3, 2, 3, WIDTH)).to_transformers(
        tiny_vlm.case("qwen2_vl").short, tiny_vlm.make("qwen2_vl")
    )
    with pytest.raises(ValueError, match="need `to_vllm`"):
        to_vllm_prompt(qwen)
    twice = {name: value.repeat(2, 1, *[1] * (value.dim() - 2)) for name, value in inputs.items()}
    with pytest.raises(ValueError, match="one prompt"):
        to_vllm_prompt(twice)


def test_what_the_server_would_misread_is_refused() -> None:
    config, wide = tiny_vlm.make("qwen2_vl").config, torch.nn.Linear(16, WIDTH)
    for tokens in (reduce(random_grid(), "bits", 9), pooled()[1:]):
        with pytest.raises(ValueError, match="by its raster"):
            to_vllm(tokens, config, wide)
    with pytest.raises(ValueError, match="the model takes"):
        to_vllm(pooled(), config)
    with pytest.raises(ValueError, match="one frame"):
        to_vllm(pooled(), config, wide, picture=True)
    with pytest.raises(ValueError, match="use `to_vllm_prompt`"):
        to_vllm(pooled(), tiny_vlm.make("internvl").config)
