"""Latents of an open file, reduced to a budget of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...models import tokens
from ...models.base.torch_defaults import float32_on_cpu
from ..errors import ParameterError

if TYPE_CHECKING:
    from .clip import Clip


def reduced(
    clip: Clip,
    start: int,
    stop: int,
    *,
    channels: int | None = None,
    reduce: Any = "bits",
    budget: Any = 1.0,
    **options: Any,
) -> tokens.TokenSet:
    """See `Clip.tokens`, kind "latents"."""
    with _refused():
        budget = tokens.checked_budget(budget)
        expects = tokens.asks_for("bits_prior", reduce, options)
    grid = clip.latents(start, stop, channels=channels, bits_prior=expects)
    with _refused(), float32_on_cpu():
        return tokens.reduce(grid, reduce, budget, **options)


@contextmanager
def _refused() -> Iterator[None]:
    """What a reduction of tokens refuses is a ParameterError."""
    try:
        yield
    except ValueError as error:
        raise ParameterError(str(error)) from error
