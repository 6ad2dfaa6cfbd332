"""Masked-token batches straight from .tsr files: codebook indices, some of them hidden, and what they were.

dataset = MaskedIds(paths, share=0.15)
loader = DataLoader(dataset, batch_size=32, num_workers=2)        for files of one size

A model that is trained to name the hidden indices needs no pixels and no other labels (VIOLET, Fu et al., 2021).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..codec.ranges import FrameRange, bounds, clipped

IGNORED = -100  # the label of what is not hidden, as torch's cross entropy has it
BLOCK = 2  # cells per side that are hidden together: no finer, as an index of 1/32 stands at four cells


def mask_ids(
    codes: Tensor, share: float, mask_id: int, *, block: int = BLOCK, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Hide a share of the cells of codes (T, h, w, Q): inputs with `mask_id` there, and labels (T, h, w, Q).

    Blocks of block x block cells are hidden with all their indices; absent ones (0) stay as they are.  ValueError for a
    share outside 0..1 or a block that is not even.
    """
    if not 0 <= share <= 1 or block < 2 or block % 2:
        raise ValueError(f"a share of {share:g} in blocks of {block}: it is in 0..1, they are even")
    t, h, w, _ = codes.shape
    chosen = torch.rand(t, -(-h // block), -(-w // block), generator=generator) < share
    cells = chosen.repeat_interleave(block, 1).repeat_interleave(block, 2)[:, :h, :w, None]
    hidden = cells & (codes != 0)
    return codes.masked_fill(hidden, mask_id), codes.masked_fill(~hidden, IGNORED)


class MaskedIds(Dataset[dict[str, Tensor]]):
    """One item a file: inputs and labels (T, h, w, Q) int64, hidden anew each time by torch's own generator.

    frames   (start, stop) of every clip; files that are shorter give what they have
    ParameterError, when an item is read, for a file of a codec without codebooks.
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        share: float = 0.15,
        *,
        block: int = BLOCK,
        frames: FrameRange | None = None,
    ) -> None:
        self.paths, self.share, self.block = [os.fspath(path) for path in paths], share, block
        self.frames = bounds(frames)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        from ..codec.api import open as open_clip
        from ..codec.reading.ids import discrete

        with open_clip(self.paths[number]) as clip:
            codes = clip.ids(*clipped(self.frames, len(clip)))
            inputs, labels = mask_ids(codes, self.share, discrete(clip.family).mask_id, block=self.block)
        return {"inputs": inputs, "labels": labels}
