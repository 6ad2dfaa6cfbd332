"""Vision tokens in a prompt of ids: which rows stand in which run of placeholders, and at which positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...base.errors import ParameterError
from ..arguments import positive, whole_numbers
from .kinds import ModelKind
from .positions import mrope_ids

if TYPE_CHECKING:
    from ..types import TokenSet


@dataclass(frozen=True)
class Prompt:
    """One prompt, with a placeholder for every vision token.

    Attributes:
        ids: int64 (L,).
        positions: int64 (1, L), or (3, L) of t, y, x.
        places: bool (L,), where the rows of `vision` stand, in order.
        vision: float (N, C), the tokens in the order of the prompt.
    """

    ids: Tensor
    positions: Tensor
    places: Tensor
    vision: Tensor


@dataclass(frozen=True)
class _Run:
    """Placeholders [begin, end) of the prompt as given, and the rows of set `number` that come in; `ends`: its last."""

    begin: int
    end: int
    number: int
    tokens: TokenSet
    rows: Tensor
    whole: bool
    ends: bool


def lay_out(
    ids: Tensor,
    sets: Sequence[TokenSet],
    kind: ModelKind,
    scale: float | Sequence[float] = 1.0,
    per_second: float | None = None,
) -> Prompt:
    """Give every vision token its place and position.

    Args:
        ids: int64 (S,), the prompt.  Its runs of placeholders are one per set, or one per frame (those without tokens
            may lack); a run has a single placeholder or one per token.  With one per token, runs may also be tiles.
        sets: The tokens, in the order of the prompt.
        kind: How the model reads them.
        scale: Steps of the y and x positions per cell of the grid: pixels of a cell / `kind.unit`.
            For all sets, or one each.
        per_second: Steps of the t position per second, in place of the model's.

    Returns:
        The prompt.

    Raises:
        ParameterError: Prompt and tokens do not fit together.
    """
    ids = whole_numbers("ids", ids, 1)
    _check_sets(sets)
    many = isinstance(scale, Sequence) and not isinstance(scale, str)
    scales = [positive("scale", one) for one in (scale if many else [scale] * len(sets))]  # type: ignore[union-attr]
    if len(scales) != len(sets):
        raise ParameterError(f"scale names {len(scales)} numbers for {len(sets)} sets of tokens")
    if per_second is not None:
        per_second = positive("per_second", per_second)
    found = _match(_runs(ids, kind.placeholders), sets, kind)
    steps = kind.per_second if per_second is None else per_second
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    at, position = 0, 0
    for run in found:
        position = _text(parts, ids[at : run.begin], position, kind)
        position = _vision(parts, run, ids[run.begin], position, kind, scales[run.number], steps)
        at = run.end
    _text(parts, ids[at:], position, kind)
    columns = [torch.cat(column, -1) for column in zip(*parts, strict=True)]
    return Prompt(columns[0], columns[1], columns[2], torch.cat([run.tokens.x[run.rows] for run in found]))


def _check_sets(sets: Sequence[TokenSet]) -> None:
    for one in sets:
        if not hasattr(one, "frame_splits"):
            raise ParameterError(f"tokens are a TokenSet or a list of them, not {type(one).__name__}")
    if not sets:
        raise ParameterError("tokens are an empty list")
    widths = {one.x.shape[1] for one in sets}
    if len(widths) > 1:
        raise ParameterError(f"tokens of one prompt have equal channels, not {sorted(widths)}")


def _text(parts: list[tuple[Tensor, Tensor, Tensor]], ids: Tensor, position: int, kind: ModelKind) -> int:
    count = torch.arange(len(ids), device=ids.device) + position
    parts.append((ids, count.expand(3 if kind.mrope else 1, -1), torch.zeros_like(ids, dtype=torch.bool)))
    return position + len(ids)


def _vision(
    parts: list[tuple[Tensor, Tensor, Tensor]],
    run: _Run,
    placeholder: Tensor,
    position: int,
    kind: ModelKind,
    scale: float,
    per_second: float | None,
) -> int:
    """One run.  With t, y, x positions, text goes on behind the raster of the whole grid, whatever was kept of it."""
    count = len(run.rows)
    length = count + (kind.newline and run.ends)
    if kind.mrope:
        where = mrope_ids(run.tokens, scale, per_second)[:, run.rows]
        if not run.whole and count:
            where[0] -= where[0].min()
        taken = max(max(1, round(side * scale)) for side in run.tokens.shape[1:])
    else:
        where, taken = torch.arange(length)[None], length
    ids = placeholder.expand(length)
    places = torch.arange(length, device=ids.device) < count
    parts.append((ids, where.to(ids.device) + position, places))
    return position + taken


def _runs(ids: Tensor, placeholders: Sequence[int]) -> list[tuple[int, int]]:
    """[begin, end) of every run of one placeholder."""
    known = torch.tensor(placeholders, device=ids.device)
    inside = torch.isin(ids, known)
    if not bool(inside.any()):
        raise ParameterError(f"the prompt has no vision placeholder ({', '.join(map(str, placeholders))})")
    change = torch.ones(len(ids) + 1, dtype=torch.bool, device=ids.device)
    change[1:-1] = ids[1:] != ids[:-1]
    bounds = change.nonzero().squeeze(1).tolist()
    flags = inside.tolist()
    return [(a, b) for a, b in zip(bounds, bounds[1:], strict=False) if flags[a]]


def _match(runs: list[tuple[int, int]], sets: Sequence[TokenSet], kind: ModelKind) -> list[_Run]:
    """Which rows come into which run."""
    extra = int(kind.newline)
    if len(runs) < len(sets) == sum(end - begin for begin, end in runs):
        runs = [(place, place + 1) for begin, end in runs for place in range(begin, end)]  # clip beside clip
    lengths = [end - begin for begin, end in runs]
    frames = [tokens.shape[0] for tokens in sets]
    if len(runs) == len(sets) and not (kind.mrope and kind.framed and max(frames) > 1):
        found = []
        for number, ((begin, end), tokens) in enumerate(zip(runs, sets, strict=True)):
            if end - begin not in (1, len(tokens) + extra):
                raise ParameterError(
                    f"the prompt has {end - begin} video placeholders for {len(tokens) + extra} tokens; give 1 or all"
                )
            rows = torch.arange(len(tokens), device=tokens.x.device)
            found.append(_Run(begin, end, number, tokens, rows, True, True))
        return found
    splits = [tokens.frame_splits.tolist() for tokens in sets]
    filled = [[count for count in mine if count] for mine in splits]
    single = all(length == 1 for length in lengths)
    if single and len(runs) == sum(frames):
        counts = splits
    elif single and len(runs) == sum(map(len, filled)):
        counts = filled
    elif sum(lengths) == sum(len(tokens) + extra for tokens in sets):
        counts = _deal(lengths, [len(tokens) + extra for tokens in sets])
    else:
        wanted = f"{len(sets)} (one per clip), {sum(frames)} (one per frame) or one placeholder per token"
        if kind.mrope and kind.framed:
            wanted = f"{sum(frames)} (one per frame, as this model reads clips) or one placeholder per token"
        raise ParameterError(
            f"the prompt has {len(runs)} runs of {sum(lengths)} video placeholders; wanted are {wanted}"
        )
    return _by_runs(runs, sets, counts, extra)


def _deal(lengths: list[int], totals: list[int]) -> list[list[int]]:
    """The runs of each set when every placeholder is one token."""
    found: list[list[int]] = []
    left = list(lengths)
    for total in totals:
        mine: list[int] = []
        while sum(mine) < total:
            mine.append(left.pop(0))
        if sum(mine) != total:
            raise ParameterError(f"a run of {mine[-1]} placeholders belongs to two clips; separate them")
        found.append(mine)
    return found


def _by_runs(runs: list[tuple[int, int]], sets: Sequence[TokenSet], counts: list[list[int]], extra: int) -> list[_Run]:
    found: list[_Run] = []
    left = iter(runs)
    for number, (tokens, mine) in enumerate(zip(sets, counts, strict=True)):
        order = torch.sort(tokens.frames, stable=True).indices if len(mine) > 1 else torch.arange(len(tokens))
        order = order.to(tokens.x.device)
        for place, (start, count) in enumerate(zip(accumulate([0, *mine]), mine, strict=False)):
            ends = place + 1 == len(mine)
            rows = order[start : min(start + count, len(tokens))]
            found.append(_Run(*next(left), number, tokens, rows, len(mine) == 1, ends))
    return found
