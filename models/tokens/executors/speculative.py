"""Speculative decoding: a draft on fewer vision tokens guesses, the model with all of them checks several at once."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...base.errors import ParameterError
from ..arguments import entries, integer


@dataclass(frozen=True)
class Speculated:
    """What `speculate` returns.

    Attributes:
        ids: int64 (steps,), what the model says, exactly as without a draft.
        guessed: Ids that the draft proposed.
        accepted: How many of them were right.
        calls: Forward passes of the model, its reading of the prompt included.
    """

    ids: Tensor
    guessed: int
    accepted: int
    calls: int


def speculate(
    model: Any,
    inputs: dict[str, Any],
    draft_inputs: dict[str, Any],
    steps: int,
    ahead: int = 4,
    draft_model: Any = None,
    stop: int | None = None,
) -> Speculated:
    """Decode greedily (FLASH, ViSpec).

    Args:
        model: The model, see `TokenSet.to_transformers`.
        inputs: The prompt with all tokens, batch size 1.
        draft_inputs: The prompt with the draft's tokens, of `TokenSet.draft(count)`.
        steps: Ids to make.
        ahead: Ids that are guessed at a time.
        draft_model: What guesses; None: the model itself, which saves work by its shorter prompt alone.
        stop: The id after which nothing follows, or None.

    Returns:
        The ids, and what they cost.

    Raises:
        ParameterError: `steps` or `ahead` is below 1, there are several prompts, or one ends with padding.
    """
    steps, ahead = integer("steps", steps, 1), integer("ahead", ahead, 1)
    if stop is not None:
        stop = integer("stop", stop)
    inputs, draft_inputs = _one_prompt("inputs", inputs), _one_prompt("draft_inputs", draft_inputs)
    target = _Reader(model, inputs)
    draft = _Reader(model if draft_model is None else draft_model, draft_inputs)
    found = [int(target.logits[-1].argmax())]
    guessed = accepted = 0
    while len(found) < steps and found[-1] != stop:
        guesses = draft.guess(found, min(ahead, steps - len(found)))
        best = target.read([found[-1], *guesses]).argmax(-1).tolist()
        right = next((n for n, guess in enumerate(guesses) if guess != best[n]), len(guesses))
        guessed, accepted = guessed + len(guesses), accepted + right
        found += [*guesses[:right], best[right]]
        if stop in found:
            found = found[: found.index(stop) + 1]
        target.cut(len(found) - 1)
        draft.cut(min(draft.said, len(found) - 1))
    return Speculated(torch.tensor(found[:steps]), guessed, accepted, target.calls)


def _one_prompt(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    found = entries(name, inputs, "inputs_embeds", "attention_mask", "position_ids")
    count = len(found["inputs_embeds"])
    if count != 1:
        raise ParameterError(f"{name} are of one prompt, not of {count}: run them one by one")
    if not bool(found["attention_mask"][0, -1]):
        raise ParameterError(f"{name} end with padding: pad in front (padding_side left), or not at all")
    return {key: value for key, value in found.items() if key != "labels"}


class _Reader:
    """A model, its cache, and how many generated ids are in it."""

    def __init__(self, model: Any, inputs: dict[str, Any]) -> None:
        self.model = model
        self.device = inputs["inputs_embeds"].device
        self.name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
        self.mask = inputs["attention_mask"]
        self.next = inputs["position_ids"][..., -1:] + 1
        self.said = self.calls = 0
        self.cache: Any = None
        self.logits = self._call(inputs)

    def _call(self, inputs: dict[str, Any]) -> Tensor:
        self.calls += 1
        with torch.no_grad():
            out = self.model(**inputs, **({} if self.cache is None else {self.name: self.cache}), use_cache=True)
        self.cache = getattr(out, self.name)
        return out.logits[0]  # type: ignore[no-any-return]

    def read(self, ids: list[int]) -> Tensor:
        """(len(ids), vocabulary) logits behind each of them."""
        count = torch.arange(self.said, self.said + len(ids), device=self.device)
        mask = torch.cat([self.mask, self.mask.new_ones(1, self.said + len(ids))], 1)
        given = {"input_ids": torch.tensor([ids], device=self.device), "attention_mask": mask}
        self.said += len(ids)
        return self._call({**given, "position_ids": self.next + count})

    def guess(self, found: list[int], count: int) -> list[int]:
        """What comes behind the ids found so far, greedily."""
        logits = self.read(found[self.said :])
        made = [int(logits[-1].argmax())]
        while len(made) < count:
            made.append(int(self.read(made[-1:])[-1].argmax()))
        return made

    def cut(self, said: int) -> None:
        """Forget generated ids beyond the first `said`."""
        extra = self.said - said
        for layer in self.cache.layers if extra else ():
            layer.keys, layer.values = layer.keys[:, :, :-extra], layer.values[:, :, :-extra]
        self.said = said
