"""Vision tokens as input of vLLM: `multi_modal_data` in place of a clip's pixels, or the whole prompt as embeddings.

The server writes the placeholders itself, as many as the raster has cells, and counts positions by the raster.  So
models with t, y, x positions take whole rasters only: a grid, or one that was pooled.  The server's own pruning is off.
Models with 1-D positions take any set, as `prompt_embeds`.

    LLM(model, enable_mm_embeds=True)         or  vllm serve MODEL --enable-mm-embeds
    LLM(model, enable_prompt_embeds=True)     or  vllm serve MODEL --enable-prompt-embeds

Shapes are those that vLLM 0.33 documents for its Qwen2-VL, Qwen2.5-VL and Qwen3-VL models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...base.errors import ParameterError
from ..arguments import entries, flag
from .huggingface import projected
from .kinds import ModelKind
from .positions import seconds_of

if TYPE_CHECKING:
    from ..types import TokenSet


def to_vllm(
    tokens: TokenSet, config: Any, projector: Callable[[Tensor], Tensor] | None = None, *, picture: bool = False
) -> dict[str, dict[str, Any]]:
    """Make `multi_modal_data` for one clip or picture.

    Args:
        tokens: A whole raster, every row of it.
        config: Configuration of the model, of kind qwen2_vl, qwen2_5_vl or qwen3_vl.
        projector: (N, C) -> (N, D); with features of early layers (N, D * (1 + layers)), as the adapter for
            transformers takes them.  None: the tokens have that width.
        picture: Whether the prompt holds the mark of a picture, not of a clip.

    Returns:
        {"video": {video_embeds (N, D), video_grid_thw (1, 3) int64 in patches, and what the kind needs beside it:
        second_per_grid_ts (1,) float32 of Qwen2.5-VL, timestamps (a list of seconds in a list) of Qwen3-VL}}; of a
        picture {"image": {image_embeds, image_grid_thw}}.

    Raises:
        ParameterError: The tokens form no raster, or the model is of another kind.
    """
    if not hasattr(tokens, "frame_splits"):
        raise ParameterError(f"tokens are a TokenSet, not {type(tokens).__name__}")
    picture, kind = flag("picture", picture), ModelKind.of(config)
    if not kind.mrope:
        raise ParameterError(f"vLLM takes tokens of any number for {kind.name} as a prompt: use `to_vllm_prompt`")
    if tokens.lattice is None or len(tokens) != tokens.lattice[0] * tokens.lattice[1] * tokens.lattice[2]:
        raise ParameterError("vLLM lays out a clip by its raster: send a grid or a pooled raster")
    t, h, w = tokens.lattice
    if picture and t != 1:
        raise ParameterError(f"a picture has one frame, this set has {t}")
    merge = int(config.vision_config.spatial_merge_size)
    rows = projected(tokens.x, projector)
    wanted = config.text_config.hidden_size * (1 + kind.deepstack)
    if rows.shape != (len(tokens), wanted):
        raise ParameterError(
            f"the embeddings have the shape {tuple(rows.shape)}, the model takes {(len(tokens), wanted)}"
        )
    medium = "image" if picture else "video"
    grid = torch.tensor([[t, h * merge, w * merge]])
    found: dict[str, Any] = {f"{medium}_embeds": rows.detach(), f"{medium}_grid_thw": grid}
    seconds = seconds_of(tokens).view(t, h * w).mean(1)
    if kind.per_second is not None and not picture:
        step = (seconds[-1] - seconds[0]) / (t - 1) if t > 1 else seconds.new_ones(())
        found["second_per_grid_ts"] = step[None].round(decimals=5).float().cpu()  # the server rounds multiples down
    if kind.framed and not picture:
        found["timestamps"] = [(seconds + float(tokens.times[0])).round(decimals=5).tolist()]
    return {medium: found}


def to_vllm_prompt(inputs: dict[str, Any]) -> dict[str, Tensor]:
    """Make an EmbedsPrompt of what the adapter for transformers made of one prompt.

    Args:
        inputs: From `TokenSet.to_transformers` or `TokenProcessor.embed`, of a model with 1-D positions.

    Returns:
        {"prompt_embeds": (L, D)}.

    Raises:
        ParameterError: There are several prompts, or positions that the server would count otherwise.
    """
    inputs = entries("inputs", inputs, "inputs_embeds", "position_ids")
    embeds, positions = inputs["inputs_embeds"], inputs["position_ids"]
    if len(embeds) != 1:
        raise ParameterError(f"inputs are of one prompt, not of {len(embeds)}")
    count = torch.arange(embeds.shape[1], device=positions.device)
    if positions.dim() != 2 or not torch.equal(positions[0], count) or "mm_encoder_outputs" in inputs:
        raise ParameterError(
            "vLLM counts the positions of embeddings from 0 on: models with t, y, x positions need `to_vllm`"
        )
    return {"prompt_embeds": embeds[0].detach()}
