"""The reduced tokens: what each row stands for, and the way back to the grid.

A cell is one position (t, y, x) of a grid, numbered t * H * W + y * W + x.  A token is a row of a TokenSet; it stands
for one cell or for several.  `assign` says which row each cell went to and `share` how much it counts in it, so that

    x[i] = sum of share[c] * grid.x[c] over the cells c with assign[c] == i

holds after any chain of selecting, merging and pooling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..base.errors import ParameterError
from .arguments import integer, one_of, options_among
from .arguments import share as as_share
from .cosine import Basis
from .grid import TokenGrid
from .nested import equal, map_tensors
from .rows import fill_dropped, positions_of, take, top_rows
from .saved import read, tensors_of, write

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class LayerSchedule:
    """Before layer L runs:

    keep   L -> rows (K,) of the set that go on, ascending; an empty tensor drops all (ToDRE); sets are nested
    pool   L -> (t, h, w) that the raster of tokens is pooled to (DPN)
    """

    keep: dict[int, Tensor] = field(default_factory=dict)
    pool: dict[int, Shape] = field(default_factory=dict)

    def renumbered(self, rows: Tensor) -> LayerSchedule:
        """The schedule of a set of which some rows are left: `rows` (N + 1,) is the new number of each, or -1."""
        kept = {layer: rows[old] for layer, old in self.keep.items()}
        return LayerSchedule(keep={layer: new[new >= 0] for layer, new in kept.items()})


@dataclass(eq=False)
class TokenSet:
    """Tokens in raster order of their anchors (sets put together by `join`: level by level).

    Attributes:
        x: float (N, C), the tokens.
        pos: float32 (N, 3), t, y, x in cells of the grid; of merged tokens the weighted mean.
        size: int64 (N,), cells that each token stands for.
        weight: float32 (N,), importance; sums to 1.
        index: int64 (N,), the cell that represents the token; -1 where none does (transform, learned query).
        anchor: int64 (N,), the cell under which the token is filed; equals `index` where that is not -1.
        assign: int64 (T*H*W,), row of each cell; -1 where it was dropped.
        share: float32 (T*H*W,), weight of each cell in its token; 0 where it was dropped.
        level: int64 (N,), which part of a joined set, else 0.
        shape: (T, H, W) of the grid.
        times: float64 (T,), seconds of the frames of the grid.
        lattice: (t, h, w) when the rows form a raster of that shape, else None.
        query_dependent: Whether the choice depended on a query.
        schedule: What a model that drops tokens between its layers keeps at each of them, or None.
        basis: How to turn coefficients back into cells, or None.
        layers: `assign` of the further parts of a joined set.
        memory: float (M, C), tokens that are cross-attended to rather than put into the context, or None.
    """

    x: Tensor
    pos: Tensor
    size: Tensor
    weight: Tensor
    index: Tensor
    anchor: Tensor
    assign: Tensor
    share: Tensor
    level: Tensor
    shape: Shape
    times: Tensor
    lattice: Shape | None = None
    query_dependent: bool = False
    schedule: LayerSchedule | None = None
    basis: Basis | None = None
    layers: tuple[Tensor, ...] = ()
    memory: Tensor | None = None

    def __len__(self) -> int:
        return self.x.shape[0]

    def __eq__(self, other: object) -> bool:
        return equal(self, other)

    __hash__ = None  # type: ignore[assignment]  # tensors can be changed in place

    def __getitem__(self, rows: slice | Tensor) -> TokenSet:
        """Keep rows: a slice of positive step, bool (N,), or int64 (K,) ascending without repeats."""
        if isinstance(rows, slice):
            rows = torch.arange(len(self), device=self.x.device)[rows]
        elif not isinstance(rows, Tensor) or rows.dim() != 1 or rows.is_floating_point():
            raise ParameterError(f"rows are a slice or a tensor of one axis, bool or int64, not {type(rows).__name__}")
        elif rows.dtype == torch.bool:
            if rows.numel() != len(self):
                raise IndexError(f"{rows.numel()} flags for {len(self)} tokens")
            rows = rows.nonzero().squeeze(1)
        if rows.numel() and (int(rows[0]) < 0 or int(rows[-1]) >= len(self) or not bool((rows.diff() > 0).all())):
            raise IndexError(f"rows ascend from 0 to {len(self) - 1} at most, none twice")
        return take(self, rows)

    def __repr__(self) -> str:
        return f"<TokenSet {len(self)} of {self.assign.numel()} cells, {self.x.shape[1]} channels>"

    @property
    def frames(self) -> Tensor:
        """(N,) int64 the frame under which each token is filed."""
        return torch.div(self.anchor, self.shape[1] * self.shape[2], rounding_mode="floor")

    @property
    def frame_splits(self) -> Tensor:
        """(T,) int64 tokens per frame."""
        return torch.bincount(self.frames, minlength=self.shape[0])

    @property
    def global_vec(self) -> Tensor:
        """(C,) mean of the cells that the tokens stand for."""
        share = self.size.to(self.x.dtype)
        return (self.x * share[:, None]).sum(0) / share.sum()

    def unmerge(self, x: Tensor | None = None, fill: str = "zero") -> Tensor:
        """Put the tokens back on the grid.

        Args:
            x: float (N, C'), vectors to use in place of the tokens' own.
            fill: What dropped cells get: "zero", "nearest" (the nearest kept cell of the frame) or "prev_frame".

        Returns:
            float (T, H, W, C): every cell has the vector of its token.

        Raises:
            ParameterError: There is no such `fill`, or `x` has other rows.
        """
        values = self.x if x is None else x
        if len(values) != len(self):
            raise ParameterError(f"x has {len(values)} rows for {len(self)} tokens")
        one_of("fill", fill, ("zero", "nearest", "prev_frame"))
        if self.basis is not None:
            return self.basis.invert(values, self)
        out = values.new_zeros(self.assign.numel(), values.shape[1])
        assign = self._rows_of_cells()
        if fill != "zero":
            assign = fill_dropped(assign.view(self.shape), fill).flatten()
        kept = assign >= 0
        out[kept] = values[assign[kept]]
        return out.view(*self.shape, -1)

    def _rows_of_cells(self) -> Tensor:
        """`assign`, where a cell that the first part dropped looks into the further parts."""
        assign = self.assign
        for layer in self.layers:
            assign = torch.where(assign >= 0, assign, layer)
        return assign

    def top_mass(self, share: float) -> Tensor:
        """Choose the fewest tokens that carry a share of the weight.

        Args:
            share: Least sum of their weights, 0..1.

        Returns:
            int64 (K,), their rows, ascending.
        """
        share = as_share("share", share)
        weight, order = torch.sort(self.weight.double(), descending=True, stable=True)
        count = int((weight.cumsum(0) < share * float(weight.sum()) - 1e-9).sum()) + 1
        return order[:count].sort().values

    def draft(self, count: int) -> TokenSet:
        """Keep the most important tokens at their own positions: the context of a draft model.

        Args:
            count: Number of tokens.

        Returns:
            The smaller set.
        """
        return take(self, top_rows(self.weight, integer("count", count, 1)))

    def to(
        self,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        *,
        non_blocking: bool = False,
    ) -> TokenSet:
        """Move the set.

        Args:
            device: Where to.  None: where it is.
            dtype: Of `x` and `memory`; positions, shares and weights keep theirs.
            non_blocking: As in `torch.Tensor.to`.

        Returns:
            A set on the device; tensors that need no change are shared.
        """
        device = self.x.device if device is None else device
        moved = map_tensors(self, lambda tensor: tensor.to(device, non_blocking=non_blocking))
        memory = None if moved.memory is None else moved.memory.to(dtype or moved.memory.dtype)
        return replace(moved, x=moved.x.to(dtype or moved.x.dtype), memory=memory)

    def pin_memory(self) -> TokenSet:
        """Copy the tensors to pinned memory, as a DataLoader with `pin_memory=True` does.

        Returns:
            The copy.
        """
        return map_tensors(self, Tensor.pin_memory)

    def position_ids(self, scheme: str = "mrope", **options: Any) -> Tensor:
        """Make position ids, which begin at 0; the caller adds where the vision part begins.

        Args:
            scheme: "mrope": t, y, x for 3-D rotary positions; "1d": 0..N-1; "v2pe": steps of `stride`; "shared":
                `n_pos` different ids, shared by neighbours; "scaled": 0..N-1 times `factor`.
            **options: `stride`, `n_pos`, `factor`; of mrope `scale`, steps of y and x per cell, and `per_second`, steps
                of t per second (None counts frames); `dtype`, float32 by default.

        Returns:
            (3, N) of mrope, else (1, N).

        Raises:
            ParameterError: There is no such scheme, or the type cannot hold the ids.
        """
        from .prompt.positions import position_ids

        return position_ids(self, scheme, **options)

    def to_transformers(
        self, ids: Tensor, model: Any, projector: Callable[[Tensor], Tensor] | None = None, **options: Any
    ) -> dict[str, Any]:
        """Put the tokens into a prompt: `model(**found)` and `model.generate(**found)` take the result as it is.

        Args:
            ids: int64 (S,) or (1, S), the prompt, with the model's placeholders: one in all, one per run, or one per
                token.
            model: A model of Hugging Face, or what has its `config` and `get_input_embeddings()`.
            projector: From `x` to the width of the model.  None: `x` has that width.
            **options: Of `prompt.huggingface.to_transformers`: `token_id`, `scale`, `per_second`.

        Returns:
            inputs_embeds (1, L, D), attention_mask (1, L), position_ids as the model takes them; for models with
            DeepStack also mm_encoder_outputs.

        Raises:
            ParameterError: Prompt, tokens and model do not fit together, or the model is of no known kind.
        """
        from .prompt.huggingface import to_transformers

        options_among("to_transformers", options, ("token_id", "scale", "per_second"))
        return to_transformers(self, ids, model, projector, **options)

    def save(self, path: str | Path) -> None:
        """Write every field as safetensors.

        Args:
            path: The file; written over.

        Raises:
            ParameterError: The file cannot be written.
        """
        write(tensors_of(self), path)

    @classmethod
    def load(cls, path: str | Path) -> TokenSet:
        """Read what `save` or `tessera tokens` wrote.

        Args:
            path: The file.

        Returns:
            The set.

        Raises:
            ParameterError: The file holds something else.
        """
        fields = read(path)
        if "schedule" in fields:
            fields["schedule"] = LayerSchedule(*fields["schedule"])
        return cls(**fields)


def start(grid: TokenGrid) -> TokenSet:
    """Make one token for each valid cell, in raster order.

    Args:
        grid: The latents.

    Returns:
        The tokens; where all cells are valid, `x` shares the memory of the grid.

    Raises:
        ParameterError: The grid has no valid cell.
    """
    shape = grid.x.shape[0], grid.x.shape[1], grid.x.shape[2]
    valid = grid.valid.flatten()
    index = valid.nonzero().squeeze(1)
    count = index.numel()
    if count == 0:
        raise ParameterError("the grid has no valid cell")
    device, cells = grid.x.device, grid.x.reshape(-1, grid.x.shape[3])
    assign = torch.where(valid, valid.cumsum(0) - 1, valid.new_full((), -1, dtype=torch.int64))
    return TokenSet(
        x=cells if count == valid.numel() else cells[index],
        pos=positions_of(index, shape),
        size=torch.ones(count, dtype=torch.int64, device=device),
        weight=torch.full((count,), 1 / count, device=device),
        index=index,
        anchor=index,
        assign=assign,
        share=valid.float(),
        level=torch.zeros(count, dtype=torch.int64, device=device),
        shape=shape,
        times=grid.times,
        lattice=_box(grid.valid),
    )


def _box(valid: Tensor) -> Shape | None:
    """The shape of the valid cells when they fill a box, else None."""
    sides = [int(valid.any(dim=a).any(dim=b).sum()) for a, b in ((2, 1), (2, 0), (1, 0))]
    full = sides[0] * sides[1] * sides[2] == int(valid.sum())
    return (sides[0], sides[1], sides[2]) if full else None
