"""`reduce`: one call for every way to make fewer tokens of a grid."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from .grid import TokenGrid
from .methods.budget import Adaptive, Bits, Budget
from .methods.frames import tokens_wanted
from .methods.recipes import RECIPES, Step
from .methods.registry import METHODS
from .methods.scores import Context
from .types import TokenSet, start

Steps = str | Sequence["str | Step"]


def reduce(
    grid: TokenGrid,
    steps: Steps = "bits",
    budget: Budget = 1.0,
    *,
    query: Tensor | None = None,
    attn: Tensor | None = None,
    text: Tensor | None = None,
    seed: int = 0,
    whiten: bool = False,
    **options: Any,
) -> TokenSet:
    """Reduce a grid to `budget` tokens.

    The same inputs give the same indices.

    Args:
        grid: The latents.
        steps: A method or recipe by name, a list of steps, or a text such as "frames(budget=0.5) | tome".  A step other
            than the last one has its own `budget`, or `times` the number of tokens that the chain ends with.
        budget: Number of tokens, a share 0..1 of the valid cells, a raster (t, h, w), a list with a number per frame,
            `Bits` or `Adaptive`.
        query: (C,) or (M, C) in the space of grid.x; ignored by methods that are not query-dependent.
        attn: (L, heads, N), (heads, N), (N,) or (T, H, W), attention, for methods that need it.
        text: (M, C), embeddings that serve as the query when there is none.
        seed: Seed of the random methods.
        whiten: Decide in channels scaled to equal spread over the grid.  In latents, few low bands outweigh all others.
        **options: Options of the last step.

    Returns:
        The tokens.

    Raises:
        ValueError: A method, score or option does not exist, or an input is missing.
    """
    if whiten:
        return _whitened(grid, steps, budget, query=query, attn=attn, text=text, seed=seed, **options)
    chain = parse(steps)
    chain[-1] = (chain[-1][0], {**chain[-1][1], **options})
    tokens = start(grid)
    last = chain[-1][1].pop("budget", budget)
    _check_list(last, chain)
    context = Context(grid, query, attn, text, seed)
    if METHODS[chain[-1][0]].unit == "tokens":
        context.final = tokens_wanted(last, tokens, context)
    for number, (name, given) in enumerate(chain):
        given = dict(given)
        own = last if number + 1 == len(chain) else _inner_budget(name, given, context)
        tokens = _apply(name, tokens, own, context, given)
    return replace(tokens, query_dependent=context.used_query)


def asks_for(need: str, steps: Steps, options: dict[str, Any]) -> bool:
    """Check whether a chain of methods needs an input, or names it as a score.

    Args:
        need: "bits", "bits_prior", "attn" or "query".
        steps: As of `reduce`.
        options: Options of the last step.

    Returns:
        Whether it does.

    Raises:
        ValueError: A name is unknown.
    """
    chain = parse(steps)
    named = [value for given in (options, *(given for _, given in chain)) for value in given.values()]
    return any(need in METHODS[name].needs for name, _ in chain) or any(need in v for v in named if isinstance(v, str))


def _whitened(grid: TokenGrid, steps: Steps, budget: Budget, **options: Any) -> TokenSet:
    """Decide on a whitened copy; the tokens are means of the grid's own cells, by `assign` and `share`."""
    cells = grid.x[grid.valid].float()
    mean, scale = cells.mean(0), 1 / cells.std(0, correction=0).clamp_min(1e-6)
    for name in ("query", "text"):
        if options.get(name) is not None:
            options[name] = (options[name] - mean) * scale
    tokens = reduce(replace(grid, x=(grid.x - mean) * scale), steps, budget, **options)
    if tokens.basis is not None or tokens.layers:
        raise ValueError("coefficients and sets of several levels cannot be made on a whitened copy")
    kept = tokens.assign >= 0
    x = grid.x.new_zeros(len(tokens), grid.x.shape[3])
    x.index_add_(0, tokens.assign[kept], grid.x.flatten(0, 2)[kept] * tokens.share[kept, None].to(x.dtype))
    return replace(tokens, x=x)


def _check_list(budget: Budget, chain: list[Step]) -> None:
    """A list of one number per frame needs methods that split no budget by themselves."""
    if isinstance(budget, (int, float, tuple, Bits, Adaptive)):
        return
    for name, _ in chain:
        if not METHODS[name].listed:
            raise ValueError(f"method {name} takes no budget of one number per frame")


def _inner_budget(name: str, options: dict[str, Any], context: Context) -> Budget:
    if "times" in options:
        if context.final is None:
            raise ValueError(f"step {name}: `times` needs a last step that counts tokens")
        return max(1, int(options.pop("times") * context.final))
    if "budget" not in options:
        raise ValueError(f"step {name} is not the last one and says neither `budget` nor `times`")
    found: Budget = options.pop("budget")
    return found


def _apply(name: str, tokens: TokenSet, budget: Budget, context: Context, options: dict[str, Any]) -> TokenSet:
    method = METHODS[name]
    options.pop("times", None)
    plain = isinstance(budget, (int, float)) and method.unit == "tokens"
    if plain and method.primitive != "transform" and tokens_wanted(budget, tokens, context) >= len(tokens):
        return tokens  # everything fits: nothing to do, whatever the method
    try:
        return method(tokens, budget, context, **options)
    except TypeError as error:
        if "unexpected keyword" in str(error):
            raise ValueError(f"step {name}: {error}") from error
        raise


def parse(steps: Steps) -> list[Step]:
    """A chain of (method, options), recipes written out.  ValueError when a name is unknown."""
    words: list[str | Step] = [w for w in steps.split("|")] if isinstance(steps, str) else list(steps)
    chain: list[Step] = []
    for word in words:
        name, options = _parse_step(word) if isinstance(word, str) else (word[0], dict(word[1]))
        if name in METHODS:
            chain.append((name, options))
        elif name in RECIPES:
            inner = [(step, dict(given)) for step, given in RECIPES[name].steps]
            inner[-1][1].update(options)
            chain += inner
        else:
            raise ValueError(f"there is no method {name!r}; there are {', '.join([*METHODS, *RECIPES])}")
    if not chain:
        raise ValueError("there are no steps")
    return chain


def _parse_step(text: str) -> Step:
    match = re.fullmatch(r"\s*([\w-]+)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    if match is None:
        raise ValueError(f"{text!r} is not a step; write name or name(option=value, ...)")
    options: dict[str, Any] = {}
    for part in re.split(r",(?![^()]*\))", match[2] or ""):
        key, found, value = part.partition("=")
        if not part.strip():
            continue
        if not found:
            raise ValueError(f"{part.strip()!r} in step {match[1]} is not option=value")
        options[key.strip()] = _value(value.strip())
    return match[1], options


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def parse_budget(text: str) -> Budget:
    """Read a budget as the command line takes it.

    Args:
        text: 64, 0.25, 25%, 4x8x8 (t, h, w), 9,4,4 (one per frame), 4000bits:256 or 0.9:256 (threshold, at most).

    Returns:
        The budget for `reduce`.

    Raises:
        ValueError: The text is none of these.
    """
    try:
        if match := re.fullmatch(r"([\d.]+)bits:(\d+)", text):
            return Bits(float(match[1]), int(match[2]))
        if match := re.fullmatch(r"([\d.]+):(\d+)", text):
            return Adaptive(float(match[1]), int(match[2]))
        if match := re.fullmatch(r"(\d+)x(\d+)x(\d+)", text):
            return int(match[1]), int(match[2]), int(match[3])
        if text.endswith("%"):
            return float(text[:-1]) / 100
        if "," in text:
            return [int(word) for word in text.split(",")]
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a budget such as 64, 0.25, 4x8x8, 4000bits:256") from None
