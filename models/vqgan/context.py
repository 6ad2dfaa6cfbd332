"""The prior's 5 x 5 convolution in parts: over earlier stages, the frame before, and the stage itself.

A map of an earlier stage is coarser: each of its cells stands for `ratio` x `ratio` cells of the stage.  Cells of the
same phase, row and column modulo the ratio, read such a map through the same few coarse cells, so that the weights for
each can be added up beforehand: 4 or 9 products in place of 25.  Where a coarse cell reaches beyond the end of the grid
this does not hold, and the last two rows or columns are summed one by one.

All are integers in float32, exact in any order (`index_prior`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

WINDOW = 5  # cells of the window, both ways
EDGE = WINDOW // 2
CHUNK = 1024  # cells whose windows are gathered at once

Floats = NDArray[np.float32]
Cells = NDArray[np.intp]  # flat indices of a grid


class WindowConvolution:
    """The convolution of one map.  weights: (hidden, inputs, WINDOW, WINDOW)."""

    def __init__(self, weights: Floats, ratio: int = 1) -> None:
        self.ratio = ratio
        self.window = np.ascontiguousarray(weights.transpose(2, 3, 1, 0))  # (WINDOW, WINDOW, inputs, hidden)
        self.phases = list(self._phases()) if ratio > 1 else []

    def _phases(self) -> Iterator[tuple[int, int, int, int, Floats]]:
        """Row and column modulo the ratio, the first coarse cell of the window, and weights by coarse cell."""
        for y, x in np.ndindex(self.ratio, self.ratio):
            rows, columns = ((at + np.arange(-EDGE, EDGE + 1)) // self.ratio for at in (y, x))
            rows_of, columns_of = rows - rows[0], columns - columns[0]
            sums = np.zeros((rows_of[-1] + 1, columns_of[-1] + 1, *self.window.shape[2:]), np.float32)
            np.add.at(sums, (rows_of[:, None], columns_of), self.window)
            yield y, x, int(rows[0]), int(columns[0]), sums

    def add(self, total: Floats, seen: Floats) -> None:
        """Add the convolution of a map (ceil(h / ratio), ceil(w / ratio), inputs) to all cells (h, w, hidden)."""
        h, w, hidden = total.shape
        if self.ratio == 1:
            total += self.at(framed(seen), np.arange(h * w), w).reshape(total.shape)
            return
        ends = np.zeros((h, w), np.bool_)
        ends[max(h - EDGE, 0) if h % self.ratio else h :] = True
        ends[:, max(w - EDGE, 0) if w % self.ratio else w :] = True
        last = np.flatnonzero(ends)
        whole = framed(seen.repeat(self.ratio, 0).repeat(self.ratio, 1)[:h, :w])
        sums = total.reshape(-1, hidden)[last] + self.at(whole, last, w)
        padded = framed(seen)
        for y, x, top, left, weights in self.phases:
            cells = total[y :: self.ratio, x :: self.ratio]
            rows, columns = cells.shape[:2]
            places = np.ndindex(*weights.shape[:2])
            near = [padded[top + EDGE + v :, left + EDGE + u :][:rows, :columns] for v, u in places]
            flat = weights.reshape(-1, hidden)
            cells += (np.concatenate(near, -1).reshape(rows * columns, len(flat)) @ flat).reshape(cells.shape)
        total.reshape(-1, hidden)[last] = sums

    def at(self, padded: Floats, cells: Cells, columns: int) -> Floats:
        """The convolution of a framed map (h + 4, w + 4, inputs) at `cells` (n,) of a grid: (n, hidden)."""
        inputs, hidden = self.window.shape[2:]
        flat, weights = padded.reshape(-1, inputs), self.window.reshape(-1, hidden)
        corners = cells // columns * padded.shape[1] + cells % columns
        window = (np.arange(WINDOW)[:, None] * padded.shape[1] + np.arange(WINDOW)).ravel()
        out = np.empty((len(cells), hidden), np.float32)
        for first in range(0, len(cells), CHUNK):
            part = slice(first, first + CHUNK)
            out[part] = flat[corners[part, None] + window].reshape(-1, len(weights)) @ weights
        return out


def framed(seen: Floats) -> Floats:
    """A map (h, w, inputs) with EDGE rows and columns of zeros around it."""
    return np.pad(seen, ((EDGE, EDGE), (EDGE, EDGE), (0, 0)))
