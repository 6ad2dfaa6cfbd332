"""A TokenSet as the input of a Hugging Face language model of the Qwen2-VL and Qwen2.5-VL type.

Position ids are computed here and always passed on: without them these models take text positions for every token and
run on, with wrong logits.  Two things differ between versions of transformers and are options:

    text_start   where text goes on after a video that starts at s: "hw" is s + max(h, w) of the raster (5.23), "max" is
                 the largest id + 1 (4.57)
    seconds      of one step of the grid; times `per_second` (Qwen2.5-VL: 4) and rounded down it steps the t ids; None
                 counts frames (Qwen2-VL).  4.57 cuts `seconds` itself to a whole number: pass int(seconds) to match it

Qwen3-VL adds features to early layers, which `inputs_embeds` alone would lose; it is not supported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .positions import mrope_ids, next_id

if TYPE_CHECKING:
    from ..types import TokenSet

Embed = Callable[[Tensor], Tensor]


def to_transformers(
    tokens: TokenSet,
    ids: Tensor,
    embed: Embed,
    *,
    token_id: int,
    projector: Callable[[Tensor], Tensor] | None = None,
    text_start: str = "hw",
    seconds: float | None = None,
    per_second: float = 1.0,
) -> dict[str, Any]:
    """The prompt with the tokens in place of the run of `token_id`.

    ids        (S,) or (1, S) int64, with one run of `token_id`: a single one, or one per token
    embed      ids -> embeddings, `model.get_input_embeddings()`
    projector  tokens.x -> (N, D); None when they have the model's width

    Returns inputs_embeds (1, L, D), position_ids (3, 1, L) int64, attention_mask (1, L), input_ids (1, L) and
    next_position, the position of the first generated token.  ValueError when ids and tokens do not fit together.
    """
    ids = ids.reshape(-1)
    begin, end = _run_of(ids, token_id)
    if end - begin not in (1, len(tokens)):
        raise ValueError(f"the prompt has {end - begin} video placeholders for {len(tokens)} tokens; give 1 or all")
    x = tokens.x if projector is None else projector(tokens.x)
    text = embed(ids)
    if x.shape[1] != text.shape[-1]:
        raise ValueError(f"the tokens have {x.shape[1]} channels, the model {text.shape[-1]}; a projector is needed")
    inner = mrope_ids(tokens, seconds, per_second)
    position = _with_text(inner, begin, len(ids) - end, _after(tokens, inner, text_start))
    full = torch.cat([ids[:begin], ids.new_full((len(tokens),), token_id), ids[end:]])
    return {
        "inputs_embeds": torch.cat([text[:begin], x.to(text.dtype), text[end:]])[None],
        "position_ids": position[:, None],
        "attention_mask": torch.ones(1, len(full), dtype=torch.int64, device=ids.device),
        "input_ids": full[None],
        "next_position": int(position.max()) + 1,
    }


def _run_of(ids: Tensor, token_id: int) -> tuple[int, int]:
    places = (ids == token_id).nonzero().squeeze(1)
    if places.numel() == 0:
        raise ValueError(f"the prompt has no video placeholder {token_id}")
    begin, end = int(places[0]), int(places[-1]) + 1
    if end - begin != places.numel():
        raise ValueError("the prompt has more than one run of video placeholders")
    return begin, end


def _after(tokens: TokenSet, ids: Tensor, rule: str) -> int:
    """Ids that the vision part takes up.  "hw" counts the raster of the whole grid, whatever was kept of it, so that
    reducing the tokens does not move the text."""
    if rule == "hw":
        return max(tokens.shape[1], tokens.shape[2])
    if rule != "max":
        raise ValueError(f"text starts by rule hw or max, not {rule!r}")
    return next_id(ids)


def _with_text(vision: Tensor, before: int, after: int, taken: int) -> Tensor:
    """(3, L): text counts up to the video, the video starts there, text goes on `taken` later."""
    head = torch.arange(before, device=vision.device).expand(3, -1)
    tail = torch.arange(after, device=vision.device).expand(3, -1) + before + taken
    return torch.cat([head, vision + before, tail], 1)


def collate(batch: list[dict[str, Any]]) -> dict[str, Any]:
    """Several prompts as one batch, padded on the left; padding has attention 0 and positions of 1."""
    length = max(item["inputs_embeds"].shape[1] for item in batch)

    def padded(name: str, axis: int, value: float) -> Tensor:
        parts = []
        for item in batch:
            tensor = item[name]
            shape = list(tensor.shape)
            shape[axis] = length - shape[axis]
            parts.append(torch.cat([tensor.new_full(shape, value), tensor], axis))
        return torch.cat(parts, 1 if name == "position_ids" else 0)

    found: dict[str, Any] = {
        "inputs_embeds": padded("inputs_embeds", 1, 0),
        "position_ids": padded("position_ids", 2, 1),
        "attention_mask": padded("attention_mask", 1, 0),
    }
    return {**found, "next_position": torch.tensor([item["next_position"] for item in batch])}


def to_vllm(tokens: TokenSet, projector: Callable[[Tensor], Tensor], merge: int = 2) -> dict[str, Tensor]:
    """What vLLM takes in place of a video's pixels: video_embeds (N, D) and video_grid_thw (1, 3) in patches.

    The server sizes the prompt by the raster and may prune by itself, so only a full raster can be sent.
    """
    if tokens.lattice is None:
        raise ValueError("vLLM lays out a video by its raster: send a grid or a pooled raster")
    t, h, w = tokens.lattice
    return {"video_embeds": projector(tokens.x), "video_grid_thw": torch.tensor([[t, h * merge, w * merge]])}
