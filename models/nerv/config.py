"""What a decoder is built from, as a few bounded integers that travel in the stream.

Architectures are five independent switches; the published ones are names for some of their combinations:

    nerv         NeRV (Chen et al., 2021): the frame's time through a small MLP, 3 x 3 kernels, each stage half as wide
    hnerv        HNeRV (Chen et al., 2023): a small embedding per frame, made by an encoder that is thrown away;
                 kernels grow 1, 3, 5 and widths shrink by 1.2, which spreads the parameters evenly over the stages
    hnerv-boost  Boosting NeRV (Zhang et al., 2024) around HNeRV: sinusoidal activations, and after each stage a
                 residual block whose features pass affine maps of the time
    nerv-boost   the same conditioning around NeRV
    nerv++       NeRV++ (Ghorbel et al., 2024): separable residual blocks on both sides of the upsampling and a
                 bilinear skip around it, on HNeRV's embeddings and widths
    nerv++-boost both
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations_with_replacement
from math import prod

CONTENT, EVEN, CONDITIONED, SINE, SEPARABLE = 1, 2, 4, 8, 16
FLAGS = 31
ARCHITECTURES: dict[str, int] = {
    "nerv": 0,
    "hnerv": CONTENT | EVEN,
    "hnerv-boost": CONTENT | EVEN | CONDITIONED | SINE,
    "nerv-boost": CONDITIONED | SINE,
    "nerv++": CONTENT | EVEN | SEPARABLE,
    "nerv++-boost": CONTENT | EVEN | CONDITIONED | SINE | SEPARABLE,
}

MAX_STAGES = 8
MAX_STRIDE = 5
MAX_TOTAL_STRIDE = 512
MAX_EMBEDDING = 64
WIDTH_UNIT = 16  # a width of the first stage is given in sixteenths of a channel, so that sizes can be met
MAX_WIDTH = 4096 * WIDTH_UNIT
MIN_CHANNELS = 8  # least channels of every stage
MAX_PARAMETERS = 1 << 26
ACTIVATIONS = 256, 1 << 24  # largest layer: so many elements per pixel of the frame, and so many besides
FREQUENCIES = 16  # frequencies in the code of time, each as a sine and a cosine
TIME_CODE = 2 * FREQUENCIES
STEM_HIDDEN = 64  # hidden width of NeRV's MLP
AFFINE_HIDDEN = 32  # hidden width of the temporal affine maps
SPREAD = 7  # side of the depthwise part of a separable residual block


@dataclass(frozen=True)
class Config:
    """A decoder.  `width`: 1 / WIDTH_UNIT channels.  The grid of embeddings covers the frame, the last cells partly."""

    flags: int
    frames: int
    height: int
    width_pixels: int
    channels: int  # 1 or 3
    strides: tuple[int, ...]
    embedding: int  # channels of a frame's embedding; 0 without CONTENT
    width: int

    def has(self, flag: int) -> bool:
        return bool(self.flags & flag)

    @property
    def stride(self) -> int:
        return prod(self.strides)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the embedding."""
        return -(-self.height // self.stride), -(-self.width_pixels // self.stride)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels entering the first stage, then leaving each stage."""
        top, bottom = (5, 6) if self.has(EVEN) else (1, 2)
        least = MIN_CHANNELS * WIDTH_UNIT
        scaled = [max(least, self.width * top**i // bottom**i) for i in range(len(self.strides) + 1)]
        return tuple((2 * value + WIDTH_UNIT) // (2 * WIDTH_UNIT) for value in scaled)

    @property
    def kernels(self) -> tuple[int, ...]:
        """Side of each stage's convolution."""
        return tuple(min(2 * i + 1, 5) if self.has(EVEN) else 3 for i in range(len(self.strides)))

    def check(self) -> Config:
        """This config.  ValueError when anything in it is larger than a decoder should accept."""
        if not 0 <= self.flags <= FLAGS:
            raise ValueError(f"architecture {self.flags} is unknown")
        if not 1 <= len(self.strides) <= MAX_STAGES or not all(1 <= s <= MAX_STRIDE for s in self.strides):
            raise ValueError(f"strides {self.strides} are out of range")
        if self.stride > MAX_TOTAL_STRIDE or self.stride > max(self.height, self.width_pixels):
            raise ValueError(f"a stride of {self.stride} is too large for {self.width_pixels}x{self.height}")
        if not int(self.has(CONTENT)) <= self.embedding <= (MAX_EMBEDDING if self.has(CONTENT) else 0):
            raise ValueError(f"embeddings of {self.embedding} channels are out of range")
        if not WIDTH_UNIT <= self.width <= MAX_WIDTH:
            raise ValueError(f"a width of {self.width / WIDTH_UNIT:g} channels is out of range")
        if parameters(self) > MAX_PARAMETERS:
            raise ValueError(f"{parameters(self)} parameters, the limit is {MAX_PARAMETERS}")
        share, free = ACTIVATIONS
        if largest_layer(self) > share * self.height * self.width_pixels + free:
            raise ValueError(f"a layer of {largest_layer(self)} elements is too large for the frame")
        return self


def largest_layer(config: Config) -> int:
    """Elements of the largest tensor that painting one frame makes."""
    h, w = config.grid
    area, largest = h * w, h * w * max(config.widths[0], config.embedding)
    for i, stride in enumerate(config.strides):
        area *= stride * stride
        grown = config.widths[i] if config.has(SEPARABLE) else 0  # the skip is upsampled before it is projected
        largest = max(largest, area * max(config.widths[i + 1], grown))
    return largest


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor of the decoder, in the order of the stream (see `decoder.Decoder`)."""
    h, w = config.grid
    widths, found = config.widths, dict[str, tuple[int, ...]]()

    def layer(name: str, outputs: int, inputs: int, kernel: int | None = 1, bias: bool = True) -> None:
        found[f"{name}.weight"] = (outputs, inputs) if kernel is None else (outputs, inputs, kernel, kernel)
        if bias:
            found[f"{name}.bias"] = (outputs,)

    if config.has(CONTENT):
        layer("stem.enter", widths[0], config.embedding)
    else:
        layer("stem.hidden", STEM_HIDDEN, TIME_CODE, None)
        layer("stem.enter", widths[0] * h * w, STEM_HIDDEN, None)
    if config.has(CONDITIONED):
        layer("time.hidden", AFFINE_HIDDEN, TIME_CODE, None)
    for i, stride in enumerate(config.strides):
        inputs, outputs, kernel = widths[i], widths[i + 1], config.kernels[i]
        name = f"stages.{i}"
        layer(f"{name}.conv", outputs * stride * stride, inputs, kernel)
        if config.has(SEPARABLE):
            layer(f"{name}.skip", outputs, inputs, bias=False)
            for place, size in (("before", inputs), ("after", outputs)):
                layer(f"{name}.{place}.spread", size, 1, SPREAD)
                layer(f"{name}.{place}.mix", size, size, bias=False)
        if config.has(CONDITIONED):
            for half in (0, 1):
                layer(f"{name}.timed.maps.{half}", 2 * outputs, AFFINE_HIDDEN, None)
            for half in (0, 1):
                layer(f"{name}.timed.convs.{half}", outputs, outputs, 3)
    layer("head", config.channels, widths[-1], 3)
    return found


def weights(config: Config) -> int:
    """Parameters of the decoder alone."""
    return sum(prod(shape) for shape in shapes(config).values())


def embeddings(config: Config) -> int:
    """Numbers in the embeddings of all frames."""
    return config.frames * config.embedding * prod(config.grid)


def parameters(config: Config) -> int:
    """What HNeRV counts as the model's size: the decoder and the embeddings."""
    return weights(config) + embeddings(config)


# -- choosing ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def choose_strides(height: int, width: int) -> tuple[int, ...]:
    """Strides, largest first, whose product leaves a grid of about 8 to 40 cells and pads little.

    Two things are weighed: pixels painted beyond the frame, and how far the number of cells lies from 20.
    """
    best: tuple[float, tuple[int, ...]] = (float("inf"), (1,))
    for count in range(1, 6):
        for strides in combinations_with_replacement((5, 4, 3, 2), count):
            total = prod(strides)
            if total > MAX_TOTAL_STRIDE or total > max(height, width):
                continue
            rows, columns = -(-height // total), -(-width // total)
            cells = rows * columns
            waste = cells * total * total / (height * width) - 1
            cost = waste + 0.05 * abs(_log2(cells / 20)) ** 2 + 0.02 * count
            best = min(best, (cost, strides))
    return best[1]


def _log2(value: float) -> float:
    from math import log2

    return log2(value)


def choose_embedding(height: int, width: int, stride: int) -> int:
    """Channels of an embedding: HNeRV's 128 numbers per frame, on whatever grid there is."""
    cells = -(-height // stride) * -(-width // stride)
    return min(max(128 // cells, 2), 16)


def fit_width(config: Config, budget: float) -> Config:
    """The config with the width that brings `parameters` closest to `budget` and passes `check`.

    The smallest width that there is when the budget is below it.
    """
    low, high = WIDTH_UNIT, MAX_WIDTH
    while low < high:  # the largest width within the budget and the bounds
        middle = (low + high + 1) // 2
        if _acceptable(replace(config, width=middle), budget):
            low = middle
        else:
            high = middle - 1
    below, above = replace(config, width=low), replace(config, width=low + 1)
    near = 2 * budget - parameters(below)  # as far above the budget as `below` is below it
    return above if _acceptable(above, near) else below.check()


def _acceptable(config: Config, budget: float) -> bool:
    if parameters(config) > budget:
        return False
    try:
        config.check()
    except ValueError:
        return False
    return True
