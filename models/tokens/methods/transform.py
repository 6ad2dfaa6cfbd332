"""Change of basis, low part kept: the cosine transform over space, or over space and time.

coeff   the tokens are coefficients, lowest frequencies first; any count
grid    the tokens are a smaller raster: the k-point inverse of the k x k lowest coefficients, scaled so that the mean
        of the raster stays what it was
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from ...base.errors import ParameterError
from ..arguments import integer
from ..cosine import Basis, dct
from ..grid import TokenGrid
from ..raster import whole, windows
from ..rows import regroup
from ..types import Shape, TokenSet, start
from .budget import Budget
from .frames import frame_counts, tokens_wanted
from .pool import brick_labels
from .scores import Context


def cosine(tokens: TokenSet, budget: Budget, context: Context, domain: str = "coeff", dims: int = 2) -> TokenSet:
    """The lowest coefficients of each frame (`dims` 2) or of the whole clip (3) (Fourier-VLM).

    A (t, h, w) budget keeps that box of frequencies (t is ignored when `dims` is 2), a number keeps the lowest in
    zigzag order: by the sum of the frequencies relative to the sides, then by place.
    """
    full = whole(tokens)
    axes = (1, 2) if dims == 2 else (0, 1, 2)
    spectrum = dct(tokens.x.view(*full, -1), axes)
    if domain == "grid":
        return _as_raster(tokens, spectrum, axes, _box(tokens, budget, context, dims))
    if isinstance(budget, tuple):
        kept = torch.zeros(full, dtype=torch.bool, device=tokens.x.device)
        kept[: full[0] if dims == 2 else budget[0], : budget[1], : budget[2]] = True
        frequency = kept.flatten().nonzero().squeeze(1)
    elif dims == 2:
        present = [
            n
            for n, there in zip(frame_counts(budget, tokens, context), tokens.frame_splits.tolist(), strict=True)
            if there
        ]
        frequency = _lowest(full, present).to(tokens.x.device)
    else:
        frequency = zigzag(full)[: tokens_wanted(budget, tokens, context)].sort().values.to(tokens.x.device)
    return _coefficients(tokens, spectrum, axes, frequency)


def _box(tokens: TokenSet, budget: Budget, context: Context, dims: int) -> Shape:
    """The raster of a "grid" domain."""
    from ..raster import fit_raster

    t, h, w = whole(tokens)
    if isinstance(budget, tuple):
        return (t if dims == 2 else min(budget[0], t)), min(budget[1], h), min(budget[2], w)
    inner = fit_raster(max(1, tokens_wanted(budget, tokens, context) // t), h, w)
    return t, inner[0], inner[1]


@lru_cache(maxsize=64)
def zigzag(full: Shape) -> Tensor:
    """Flat places of a raster, lowest frequency first."""
    sides = [torch.arange(n, dtype=torch.float64) / n for n in full]
    t, y, x = torch.meshgrid(*sides, indexing="ij")
    return torch.sort((t + y + x).flatten(), stable=True).indices


def _lowest(full: Shape, counts: list[int]) -> Tensor:
    order, area = zigzag((1, full[1], full[2])), full[1] * full[2]
    return torch.cat([order[:n].sort().values + k * area for k, n in enumerate(counts)])


def _raster_cells(tokens: TokenSet) -> Tensor:
    """The grid's cell at each place of a raster of unmerged tokens."""
    if int(tokens.size.max()) > 1:
        raise ParameterError("a transform needs cells that were not merged before")
    return tokens.anchor


def _coefficients(tokens: TokenSet, spectrum: Tensor, axes: tuple[int, ...], frequency: Tensor) -> TokenSet:
    full, x = whole(tokens), spectrum.reshape(len(tokens), -1)[frequency]
    if len(axes) == 2:
        area = full[1] * full[2]
        counts = torch.bincount(frequency // area, minlength=full[0]).tolist()
        every = iter(counts)
        per_frame = [next(every) if n else 0 for n in tokens.frame_splits.tolist()]
        held = regroup(tokens, brick_labels(tokens, per_frame))
    else:
        held = regroup(tokens, torch.arange(len(tokens), device=x.device) * len(frequency) // len(tokens))
    return _synthetic(held, x, Basis(full, axes, frequency, full, _raster_cells(tokens)))


def _as_raster(tokens: TokenSet, spectrum: Tensor, axes: tuple[int, ...], kept: Shape) -> TokenSet:
    full = whole(tokens)
    basis = Basis(full, axes, None, kept, _raster_cells(tokens))
    low = spectrum[: kept[0], : kept[1], : kept[2]]
    x = dct(low, axes, inverse=True) * basis.gain()
    held = regroup(tokens, windows(full, kept, tokens.x.device), lattice=kept)
    return _synthetic(held, x.reshape(len(held), -1), basis)


def _synthetic(held: TokenSet, x: Tensor, basis: Basis) -> TokenSet:
    """`held` says which cells each row is filed under; its vectors are the transform's."""
    energy = x.float().square().sum(1)
    weight = energy / energy.sum().clamp_min(1e-30)
    return replace(held, x=x, weight=weight, index=torch.full_like(held.index, -1), basis=basis)


# -- layers that add up ------------------------------------------------------------------------------------------------


def progressive(grid: TokenGrid, count: int, layers: int) -> tuple[Tensor, Tensor]:
    """(T, count, C) coefficients and (T, count) their places: each frame carries what earlier frames did not (PVC).

    Frame t sends the `count` coefficients of layer t mod `layers`, of the difference to what the tokens before it give;
    a layer is a run of the zigzag order.  Nothing depends on later frames.
    """
    count, layers = integer("count", count, 1), integer("layers", layers, 1)
    full: Shape = (1, grid.x.shape[1], grid.x.shape[2])
    order = zigzag(full).to(grid.x.device)
    if count * layers > order.numel():
        raise ParameterError(f"{layers} layers of {count} coefficients exceed the {order.numel()} cells of a frame")
    known = torch.zeros_like(dct(grid.x[0].double(), (0, 1))).reshape(order.numel(), -1)
    values, places = [], []
    for t, frame in enumerate(grid.x):
        spectrum = dct(frame.double(), (0, 1)).reshape(order.numel(), -1)
        place = order[(t % layers) * count : (t % layers + 1) * count]
        values.append((spectrum - known)[place])
        known = known.index_copy(0, place, spectrum[place])
        places.append(place)
    return torch.stack(values).to(grid.x.dtype), torch.stack(places)


def rebuild(values: Tensor, places: Tensor, height: int, width: int) -> Tensor:
    """(T, H, W, C) what the tokens of frames 0..t of `progressive` give, for each t."""
    known = values.new_zeros(height * width, values.shape[2], dtype=torch.float64)
    frames = []
    for value, place in zip(values.double(), places, strict=True):
        known = known.index_add(0, place, value)
        frames.append(dct(known.view(height, width, -1), (0, 1), inverse=True))
    return torch.stack(frames).to(values.dtype)


def cosine_of(grid: TokenGrid, budget: Budget, domain: str = "coeff", dims: int = 2) -> TokenSet:
    """`cosine` on all cells of a grid, whatever the budget: with all coefficients it is a mere change of basis."""
    return cosine(start(grid), budget, Context(grid), domain, dims)
