"""The decoder of family `spatiotemporal` once more, slowly: numpy and the walk of `prior_twin`, no kernels.

Dyadic frames are read by the second decoder's walk.

Returns every frame's lifted latents; the family must decode the same integers from the same stream.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tessera.models.base.family import GroupSpec, SymbolPort
from tessera.models.engine.network import part_of
from tessera.models.prior.ports import Shifted, get_number
from tessera.models.reference import dyadic, motion
from tessera.models.reference import lifting as et
from tessera.models.reference.symbols import Symbols
from tessera.models.spatiotemporal.family import SpatiotemporalFamily
from tessera.models.spatiotemporal.group import BLOCKS, NO_OFFSET, OFFSET, grid_of
from tessera.models.spatiotemporal.order import coding_order
from tessera.models.spatiotemporal.velocity import Motion, guess
from tessera.models.spatiotemporal.wire import FIRST_TABLE, PRIORS
from tessera.models.transform.bands import PYRAMID
from tessera.models.transform.levels import ORDER

from .prior_twin import Decoding, prior_of, walk_frame

Integers = NDArray[np.int32]
HINTS = 2  # sources: the predicted latents, and their doubt


def decode(family: SpatiotemporalFamily, spec: GroupSpec, port: SymbolPort) -> dict[int, list[Integers]]:
    """Lifted latents of every frame by its number: packet, details fine to coarse, low."""
    prior, order = family.prior, ORDER
    alone = part_of(family.arrays, "still.prior")
    owners = [prior_of(part_of(family.arrays, f"priors.{name}"), HINTS) for name in PRIORS]
    owners.insert(0, prior_of(alone) if alone else owners[0])
    depth, block = get_number(port, 3), BLOCKS[get_number(port, 1)]
    latents: dict[int, list[Integers]] = {}
    planes: dict[int, NDArray[np.int16]] = {}
    surprises: dict[int, list[Integers]] = {}
    motions: dict[int, Motion] = {}
    for place in coding_order(spec.frames, depth):
        intra, offset = get_number(port, 2) == 0, get_number(port, 5)
        quality = min(max(spec.quality - (offset - NO_OFFSET) * OFFSET, 0), 6400)
        at_spec = GroupSpec(1, spec.height, spec.width, spec.channels, quality)
        levels = prior.steps.at(quality).levels
        expected: list[Integers] | None = None
        hints = None
        fields: list[NDArray[np.int16]] = []
        owner, ladder = owners[0], port
        if not intra:
            fields, modes = prior.motion.get(port, *grid_of(spec, block), len(place.references), guess(place, motions))
            used = [planes[number] for number in place.references]
            expected = analyse(motion.compensate(used, np.stack(fields), modes, block), order)
            if len(used) == 1:
                doubt = surprises[place.references[0]]
            else:
                one, two = (motion.compensate([p], f[None], None, block) for p, f in zip(used, fields, strict=True))
                doubt = analyse(one - two, order)
            hints = [
                np.concatenate([et.hints(source[level], levels[level].reciprocals) for source in (expected, doubt)])
                for level in range(PYRAMID + 1)
            ]
            owner, ladder = owners[len(used)], Shifted(port, FIRST_TABLE)
        if intra and not alone:
            known = analyse(dyadic.read(family.arrays, at_spec, PortSymbols(port)), order)
        else:
            symbols, _ = walk_frame(owner, at_spec, Decoding(ladder), hints)
            known = [
                et.restore(values, level.steps, None if expected is None else expected[at])
                for at, (values, level) in enumerate(zip(symbols, levels, strict=True))
            ]
        latents[place.number] = known
        planes[place.number] = synthesise(known, order)
        surprises[place.number] = [
            np.zeros_like(a) if expected is None else a - expected[at] for at, a in enumerate(known)
        ]
        motions[place.number] = Motion(dict(zip(place.references, fields, strict=False)))
    return latents


class PortSymbols(Symbols):
    """The symbols of a port for the second decoder."""

    def __init__(self, port: SymbolPort) -> None:
        self.port = port

    def get(self, tables: Sequence[int]) -> list[int]:
        found: list[int] = self.port.get(np.array(tables, np.uint8)).tolist() if len(tables) else []
        return found


def analyse(planes: NDArray[np.int16], order: Integers) -> list[Integers]:
    packet, low = et.exact_analyse(planes, order)
    details, lowest = et.exact_pyramid(low, PYRAMID)
    return [packet, *details, lowest]


def synthesise(levels: list[Integers], order: Integers) -> NDArray[np.int16]:
    plane = et.exact_unpyramid(levels[1:-1], levels[-1], *levels[0].shape[1:])
    return et.exact_synthesise(levels[0], plane, order)
