"""Vision tokens as the input of a language model of Hugging Face: one adapter, the kinds of model in `kinds`.

Position ids are computed here and always passed on: without them models with t, y, x positions take text positions for
every token and run on, with wrong logits.

Features of early layers (DeepStack): a projector for such a model makes D * (1 + layers) channels, the token first,
then what each of the first layers adds.  Where it makes D, nothing is added.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...base.errors import ParameterError
from ..arguments import entries, shape, whole_numbers
from .kinds import ModelKind
from .layout import Prompt, lay_out

if TYPE_CHECKING:
    from ..types import TokenSet

IGNORED = -100  # the label that a loss leaves out


def to_transformers(
    tokens: TokenSet | list[TokenSet],
    ids: Tensor,
    model: Any,
    projector: Callable[[Tensor], Tensor] | None = None,
    *,
    token_id: int | None = None,
    scale: float | Sequence[float] = 1.0,
    per_second: float | None = None,
) -> dict[str, Any]:
    """Put one or several sets into one prompt.

    Args:
        tokens: The sets, in the order of the prompt.
        ids: int64 (S,) or (1, S); see `layout.lay_out` for its placeholders.
        model: A model of Hugging Face, or what has its `config` and `get_input_embeddings()`.
        projector: (N, C) -> (N, D).  None: the tokens have the width of the model.
        token_id: The placeholder, in place of the model's.
        scale: Steps of the model's y and x positions per cell: pixels of a cell / `ModelKind.unit`.
        per_second: Steps of the t position per second, in place of the model's.

    Returns:
        What `model(**found)` and `model.generate(**found)` take: inputs_embeds (1, L, D), attention_mask (1, L),
        position_ids (1, L) or (3, 1, L), with DeepStack also mm_encoder_outputs.

    Raises:
        ParameterError: Prompt, tokens and model do not fit together, or the model is of no known kind.
    """
    _check_model(model)
    kind = ModelKind.of(model.config, token_id)
    sets = tokens if isinstance(tokens, list) else [tokens]
    ids = whole_numbers("ids", ids, 1, 2)
    if ids.dim() == 2 and len(ids) != 1:
        raise ParameterError(f"ids are of one prompt, not of {len(ids)}: make a batch with a `TokenProcessor`")
    prompt = lay_out(ids.reshape(-1), sets, kind, scale, per_second)
    return embed(collate([prompt]), model, projector, kind)


def collate(prompts: Sequence[Prompt], labels: Sequence[Tensor] | None = None, side: str = "left") -> dict[str, Any]:
    """Several prompts as one batch of tensors, padded to the longest.

    Args:
        prompts: The prompts.
        labels: int64 (L,) of each, or None.
        side: Where padding goes, "left" or "right".

    Returns:
        input_ids (B, L), attention_mask (B, L), position_ids (B, L) or (3, B, L), places (B, L) bool, vision (N, C),
        the tokens of all prompts, and labels (B, L) where given.
    """
    length = max(len(prompt.ids) for prompt in prompts)

    def padded(rows: Sequence[Tensor], value: int) -> Tensor:
        missing = [length - row.shape[-1] for row in rows]
        sides = [(n, 0) if side == "left" else (0, n) for n in missing]
        return torch.stack([torch.nn.functional.pad(r, p, value=value) for r, p in zip(rows, sides, strict=True)], -2)

    positions = padded([prompt.positions for prompt in prompts], 0) if len(prompts[0].positions) == 3 else None
    found = {
        "input_ids": padded([prompt.ids for prompt in prompts], 0),
        "attention_mask": padded([torch.ones_like(prompt.ids) for prompt in prompts], 0),
        "position_ids": padded([p.positions[0] for p in prompts], 0) if positions is None else positions,
        "places": padded([prompt.places for prompt in prompts], 0),
        "vision": torch.cat([prompt.vision for prompt in prompts]),
    }
    if labels is not None:
        found["labels"] = padded(labels, IGNORED)
    return found


def embed(
    batch: dict[str, Any], model: Any, projector: Callable[[Tensor], Tensor] | None, kind: ModelKind
) -> dict[str, Any]:
    """Turn a batch of `collate` into the input of a model; gradients reach the projector.

    Args:
        batch: From `collate`, on the device of the model.
        model: See `to_transformers`.
        projector: See `to_transformers`.
        kind: Of the model.

    Returns:
        See `to_transformers`; labels where the batch has them.

    Raises:
        ParameterError: The projector does not make the width of the model.
    """
    _check_model(model)
    batch = entries("batch", batch, "input_ids", "attention_mask", "position_ids", "places", "vision")
    ids, places = batch["input_ids"], batch["places"]
    text = model.get_input_embeddings()(ids)
    rows = projected(batch["vision"], projector)
    width = text.shape[-1]
    rows, added = _split(rows.to(text), width, kind)
    found: dict[str, Any] = {}
    if added:
        found["mm_encoder_outputs"] = _deepstack(model, ids, places, kind, rows, added)
    else:
        text = text.masked_scatter(places[..., None], rows)
    if kind.newline:
        ends = torch.isin(ids, torch.tensor(kind.placeholders, device=ids.device)) & ~places
        ends &= batch["attention_mask"].bool()
        text = torch.where(ends[..., None], _newline(model).to(text), text)
    found |= {"inputs_embeds": text, "attention_mask": batch["attention_mask"], "position_ids": batch["position_ids"]}
    return found | ({"labels": batch["labels"]} if "labels" in batch else {})


def projected(vision: Tensor, projector: Callable[[Tensor], Tensor] | None) -> Tensor:
    """(N, D) what a projector makes of tokens (N, C).  ParameterError where it makes something else."""
    if projector is None:
        return vision
    if not callable(projector):
        raise ParameterError(f"projector is a module or a function, not {type(projector).__name__}")
    rows = projector(vision)
    if not isinstance(rows, Tensor) or rows.dim() != 2 or len(rows) != len(vision):
        made = f"a tensor of {shape(rows)}" if isinstance(rows, Tensor) else type(rows).__name__
        raise ParameterError(f"projector makes (N, D) of (N, C), one row for each of {len(vision)} tokens, not {made}")
    return rows


def _check_model(model: Any) -> None:
    if not hasattr(model, "config") or not hasattr(model, "get_input_embeddings"):
        raise ParameterError(f"model is a model of Hugging Face, not {type(model).__name__}")


def _split(rows: Tensor, width: int, kind: ModelKind) -> tuple[Tensor, list[Tensor]]:
    """Tokens (N, D), and what each early layer adds."""
    if rows.shape[1] == width:
        return rows, []
    if kind.deepstack and rows.shape[1] == width * (1 + kind.deepstack):
        parts = rows.split(width, 1)
        return parts[0], list(parts[1:])
    wanted = f"{width} or {width * (1 + kind.deepstack)}" if kind.deepstack else str(width)
    raise ParameterError(f"the tokens have {rows.shape[1]} channels, the model {wanted}; a projector is needed")


def _newline(model: Any) -> Tensor:
    for part in (model, getattr(model, "model", None)):
        found = getattr(part, "image_newline", None)
        if isinstance(found, Tensor):
            return found
    raise ParameterError(f"{type(model).__name__} has no vector image_newline, with which its clips end")


def _deepstack(
    model: Any, ids: Tensor, places: Tensor, kind: ModelKind, rows: Tensor, added: list[Tensor]
) -> dict[str, Any]:
    """The tokens as the output of the model's own vision part, which alone brings features to early layers."""
    if "mm_encoder_outputs" not in inspect.signature(model.forward).parameters:
        raise ParameterError(
            "features of early layers need transformers 5.19 or later; or give a projector without them"
        )
    from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures

    found = {}
    placed = ids[places]
    for medium in ("image", "video"):
        mine = placed == getattr(model.config, f"{medium}_token_id")
        if bool(mine.any()):
            found[medium] = BaseModelOutputWithDeepstackFeatures(
                pooler_output=(rows[mine],), deepstack_features=[(feature[mine],) for feature in added]
            )
    return found
