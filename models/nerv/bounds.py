"""What painting takes, from the numbers at a stream's head: multiplications, elements of a layer, parameters.

A symbol can cost next to nothing, so the head of a few bytes may name a network that runs for minutes.  Its size has to
be justified by the frame and by the bytes that are there; FORMAT.md, section 16, has the same bounds.
"""

from __future__ import annotations

from math import prod

from ..base.cost import FIXED_MEMORY, FLOAT, FRAME_WORK, Allowance, Cost, TooLarge
from .config import CONTENT, MIN_CHANNELS, Config, embeddings, largest_layer, shapes, weights

# what is free, and what a pixel of the frame and a byte of the symbols justify beside it
WORK = 1 << 34, 1 << 13, 1 << 26  # multiplications to paint a frame
LAYER = 1 << 22, MIN_CHANNELS, 1 << 12  # elements of the largest layer
PARAMETERS = 1 << 22, 0, 1 << 10  # of all networks of a group, and its embeddings

LAYER_BYTES = 28  # an element: a few layers at a time, in float32, and what a convolution makes on its way
PARAMETER_BYTES = 40  # read as integers, kept as integers, turned into float32


def multiplications(config: Config) -> int:
    """Of painting one frame: every weight once for each place where its layer is evaluated."""
    h, w = config.grid
    areas = [h * w]
    for stride in config.strides:
        areas.append(areas[-1] * stride * stride)
    total = 0
    for name, shape in shapes(config).items():
        if not name.endswith(".weight"):
            continue
        owner, *rest = name.split(".")
        if owner == "stages":
            stage, part = int(rest[0]), rest[1]
            place = 1 if "maps" in rest else areas[stage + (part in ("after", "timed"))]
        else:
            place = {"head": areas[-1], "stem": areas[0] if config.has(CONTENT) else 1, "time": 1}[owner]
        total += place * prod(shape)
    return total


def smallest_cost(height: int, width: int) -> Cost:
    """Of painting one frame of this size with the smallest network that there is."""
    return Cost(FIXED_MEMORY + LAYER_BYTES * MIN_CHANNELS * height * width, FRAME_WORK)


def cost(config: Config, networks: int) -> Cost:
    """Of a group with so many networks, and of painting one of its frames."""
    numbers = networks * weights(config) + embeddings(config)
    memory = FIXED_MEMORY + LAYER_BYTES * largest_layer(config) + PARAMETER_BYTES * numbers
    return Cost(memory, FRAME_WORK + FLOAT * multiplications(config))


def check_allowed(config: Config, networks: int, allowance: Allowance) -> None:
    """TooLarge when a group is larger than its bytes justify, or than the reader's limits allow."""
    numbers = networks * weights(config) + embeddings(config)
    for what, found, bound in (
        ("multiplications to paint a frame", multiplications(config), WORK),
        ("elements of a layer", largest_layer(config), LAYER),
        ("parameters", numbers, PARAMETERS),
    ):
        free, a_pixel, a_byte = bound
        most = free + a_pixel * config.height * config.width_pixels + a_byte * allowance.payload
        if found > most:
            raise TooLarge(f"{allowance.payload} bytes claim {found} {what}; they justify {most}")
    allowance.check(cost(config, networks))
