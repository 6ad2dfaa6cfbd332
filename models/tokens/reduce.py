"""`reduce`: one call for every way to make fewer tokens of a grid."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from ..base.errors import ParameterError
from .arguments import attention, flag, integer, number, shape, vectors
from .grid import TokenGrid
from .methods.budget import Budget, checked_budget
from .methods.frames import tokens_wanted
from .methods.options import checked, with_shapes
from .methods.recipes import RECIPES, Step
from .methods.registry import METHODS
from .methods.scores import Context
from .types import TokenSet, start

INPUTS = ("query", "attn", "text", "seed", "whiten")  # of `reduce` itself, not of its last step
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
        budget: Number of tokens, a share 0..1 of the valid cells or "25%", a raster (t, h, w), a list with a number per
            frame, `Bits` or `Adaptive`.
        query: (C,) or (M, C) in the space of grid.x; ignored by methods that are not query-dependent.
        attn: (L, heads, N), (heads, N), (N,) or (T, H, W), attention, for methods that need it.
        text: (M, C), embeddings that serve as the query when there is none.
        seed: Seed of the random methods.
        whiten: Decide in channels scaled to equal spread over the grid.  In latents, few low bands outweigh all others.
        **options: Options of the last step.

    Returns:
        The tokens.

    Raises:
        ParameterError: An argument does not exist, is missing or out of range; the message names it.
    """
    if flag("whiten", whiten):
        return _whitened(grid, steps, budget, query=query, attn=attn, text=text, seed=seed, **options)
    chain = _with_options(steps, options)
    context = _context(grid, query, attn, text, seed)
    frames = grid.x.shape[0]
    if "times" in chain[-1][1]:
        raise ParameterError(f"step {chain[-1][0]} is the last one and takes `budget`, not `times`")
    last = checked_budget(chain[-1][1].pop("budget", budget), frames)
    _check_list(last, chain)
    tokens = start(grid)
    if METHODS[chain[-1][0]].unit == "tokens":
        context.final = tokens_wanted(last, tokens, context)
    for place, (name, given) in enumerate(chain):
        own = last if place + 1 == len(chain) else _inner_budget(name, given, context, frames)
        tokens = _apply(name, tokens, own, context, with_shapes(name, METHODS[name].frames_only, given, grid))
    return replace(tokens, query_dependent=context.used_query)


def _with_options(steps: Steps, options: dict[str, Any]) -> list[Step]:
    """The chain, with the options of the call given to its last step, all of them checked."""
    chain = parse(steps)
    chain[-1] = (chain[-1][0], {**chain[-1][1], **options})
    for name, given in chain:
        if "budget" in given and "times" in given:
            raise ParameterError(f"step {name} says both `budget` and `times`")
    return [(name, checked(name, METHODS[name].run, given)) for name, given in chain]


def _context(grid: TokenGrid, query: Any, attn: Any, text: Any, seed: Any) -> Context:
    """The inputs of a reduction, each of the right shape, on the grid's device."""
    if not isinstance(grid, TokenGrid):
        raise ParameterError(f"grid is a TokenGrid, as `Clip.latents` makes, not {type(grid).__name__}")
    if grid.x.dim() != 4:
        raise ParameterError(f"grid.x is (T, H, W, C), not {shape(grid.x)}")
    t, h, w, channels = grid.x.shape
    for name in ("bits", "bits_prior", "valid"):
        given = getattr(grid, name)
        if given is not None and given.shape != (t, h, w):
            raise ParameterError(f"grid.{name} is ({t}, {h}, {w}), as the cells of grid.x, not {shape(given)}")
    if len(grid.times) != t:
        raise ParameterError(f"grid.times names {len(grid.times)} frames of {t}")
    device = grid.x.device
    return Context(
        grid,
        None if query is None else vectors("query", query, channels).to(device),
        None if attn is None else attention("attn", attn, (t, h, w)).to(device),
        None if text is None else vectors("text", text, channels).to(device),
        integer("seed", seed),
    )


def asks_for(need: str, steps: Steps, options: dict[str, Any]) -> bool:
    """Check whether a chain of methods needs an input, or names it as a score.

    Args:
        need: "bits", "bits_prior", "attn" or "query".
        steps: As of `reduce`.
        options: Options of the call.

    Returns:
        Whether it does.

    Raises:
        ParameterError: A name is unknown, or an option is out of range.
    """
    chain = _with_options(steps, {name: value for name, value in options.items() if name not in INPUTS})
    named = [value for _, given in chain for value in given.values()]
    return any(need in METHODS[name].needs for name, _ in chain) or any(need in v for v in named if isinstance(v, str))


def _whitened(grid: TokenGrid, steps: Steps, budget: Budget, **options: Any) -> TokenSet:
    """Decide on a whitened copy; the tokens are means of the grid's own cells, by `assign` and `share`."""
    cells = grid.x[grid.valid].float()
    mean, scale = cells.mean(0), 1 / cells.std(0, correction=0).clamp_min(1e-6)
    for name in ("query", "text"):
        if options.get(name) is not None:
            options[name] = (vectors(name, options[name], len(mean)).to(mean.device) - mean) * scale
    tokens = reduce(replace(grid, x=(grid.x - mean) * scale), steps, budget, **options)
    if tokens.basis is not None or tokens.layers:
        raise ParameterError("coefficients and sets of several levels cannot be made on a whitened copy")
    kept = tokens.assign >= 0
    x = grid.x.new_zeros(len(tokens), grid.x.shape[3])
    x.index_add_(0, tokens.assign[kept], grid.x.flatten(0, 2)[kept] * tokens.share[kept, None].to(x.dtype))
    return replace(tokens, x=x)


def _check_list(budget: Budget, chain: list[Step]) -> None:
    """A list of one number per frame needs methods that split no budget by themselves."""
    if not isinstance(budget, list):
        return
    for name, _ in chain:
        if not METHODS[name].listed:
            raise ParameterError(f"method {name} takes no budget of one number per frame")


def _inner_budget(name: str, options: dict[str, Any], context: Context, frames: int) -> Budget:
    if "times" in options:
        factor = number(f"times of {name}", options.pop("times"))
        if context.final is None:
            raise ParameterError(f"step {name}: `times` needs a last step that counts tokens")
        if factor <= 0:
            raise ParameterError(f"times of {name} is above 0, not {factor:g}")
        return max(1, int(factor * context.final))
    if "budget" not in options:
        raise ParameterError(f"step {name} is not the last one and says neither `budget` nor `times`")
    found = checked_budget(options.pop("budget"), frames, f"budget of {name}")
    _check_list(found, [(name, options)])
    return found


def _apply(name: str, tokens: TokenSet, budget: Budget, context: Context, options: dict[str, Any]) -> TokenSet:
    method = METHODS[name]
    plain = isinstance(budget, (int, float)) and method.unit == "tokens"
    if plain and method.primitive != "transform" and tokens_wanted(budget, tokens, context) >= len(tokens):
        return tokens  # everything fits: nothing to do, whatever the method
    return method(tokens, budget, context, **options)


def parse(steps: Steps) -> list[Step]:
    """A chain of (method, options), recipes written out.  ParameterError when a name is unknown."""
    if not isinstance(steps, (str, Sequence)):
        raise ParameterError(f"steps are a text or a list, not {steps!r}")
    words: list[str | Step] = [w for w in steps.split("|")] if isinstance(steps, str) else list(steps)
    chain: list[Step] = []
    for word in words:
        name, options = _parse_step(word) if isinstance(word, str) else _step(word)
        if name in METHODS:
            chain.append((name, options))
        elif name in RECIPES:
            inner = [(step, dict(given)) for step, given in RECIPES[name].steps]
            inner[-1][1].update(options)
            chain += inner
        else:
            raise ParameterError(f"there is no method {name!r}; there are {', '.join([*METHODS, *RECIPES])}")
    if not chain:
        raise ParameterError("there are no steps")
    return chain


def _step(word: Any) -> Step:
    """(name, options) as given."""
    if not (isinstance(word, tuple) and len(word) == 2 and isinstance(word[0], str) and isinstance(word[1], dict)):
        raise ParameterError(f"{word!r} is not a step; write a name or (name, {{option: value}})")
    return word[0], dict(word[1])


def _parse_step(text: str) -> Step:
    match = re.fullmatch(r"\s*([\w-]+)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    if match is None:
        raise ParameterError(f"{text!r} is not a step; write name or name(option=value, ...)")
    options: dict[str, Any] = {}
    for part in re.split(r",(?![^(\[]*[)\]])", match[2] or ""):
        key, found, value = part.partition("=")
        if not part.strip():
            continue
        if not found:
            raise ParameterError(f"{part.strip()!r} in step {match[1]} is not option=value")
        options[key.strip()] = _value(value.strip())
    return match[1], options


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
