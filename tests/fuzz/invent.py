"""Files whose symbols are drawn at random while a family reads them: sound streams that no encoder would write.

Random bytes seldom pass as symbols, since the coder has to end at the last byte.  Here the family itself asks for each
symbol, gets a random one, and what it got is coded afterwards.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from tessera.codec.coding import weights
from tessera.codec.coding.groups import group_spec
from tessera.codec.coding.ports import EncoderPort
from tessera.codec.format.header import GroupHead, Header, write_group, write_header
from tessera.entropy import Tables
from tessera.models.base.family import Pixels, Symbols, TableIndices

from .mutate import Chunks, join, reindexed

MOST = 1 << 20  # symbols of a group


class InventingPort:
    """Answers with random symbols: usual ones of each table, at some rate any of a table, or any int32."""

    def __init__(self, rng: random.Random, tables: Tables) -> None:
        self.chance = np.random.default_rng(rng.randrange(1 << 32))
        self.tables, self.count = tables, 0
        self.wild = rng.choice((0.0, 0.0, 1e-3, 0.05, 0.5))  # share of symbols that may be any of their table
        self.escapes = rng.choice((0.0, 0.0, 1e-3, 0.05))
        self.calls: list[tuple[Symbols, TableIndices]] = []
        self._peaks = tables.lows + tables.frequencies.argmax(axis=1).astype(np.int32)

    def put(self, symbols: Symbols, indices: TableIndices) -> None:
        raise TypeError("this port only gives symbols")

    def get(self, indices: TableIndices) -> Symbols:
        self.count += len(indices)
        if self.count > MOST:
            raise ValueError("enough symbols")
        chance, tables = self.chance, self.tables
        symbols = self._peaks[indices] + chance.integers(-1, 2, len(indices), dtype=np.int32)
        wild = chance.random(len(indices)) < self.wild
        spread = tables.lows[indices] + chance.integers(0, 256, len(indices), dtype=np.int32) % tables.sizes[indices]
        symbols = np.where(wild, spread, symbols)
        beyond = chance.random(len(indices)) < self.escapes
        far = chance.integers(-(1 << 31), 1 << 31, len(indices)) >> chance.integers(0, 28, len(indices))
        symbols = np.where(beyond, far, symbols).astype(np.int32)
        if len(indices) == 1 and chance.random() < 0.97:  # a number of the head: mostly one that may be
            table = int(indices[0])
            symbols[0] = tables.lows[table] + chance.integers(0, tables.sizes[table] - 1) * (chance.random() < 0.6)
        self.calls.append((symbols.copy(), indices.copy()))
        return symbols

    def finish(self) -> None:
        pass

    def coded(self) -> bytes:
        """The stream of what was given."""
        port = EncoderPort(self.tables)
        for symbols, indices in self.calls:
            port.put(symbols, indices)
        return port.finish()


def invented(rng: random.Random, codec: str) -> tuple[bytes, Pixels | None]:
    """A file of one group, and its frames as decoded while it was made; None where the family refused the symbols."""
    family, weights_id = weights.load(codec)
    still = rng.random() < 0.4
    head = Header(
        codec=weights.wire_id(codec),
        weights=weights_id,
        width=rng.randint(1, 18),
        height=rng.randint(1, 18),
        still=still,
        channels=rng.choice((1, 3, 3)),
        quality=rng.choice((0, 1, 3200, 6400, rng.randint(0, 6400))),
    )
    head.colour = head.default_colour
    group = GroupHead(frames=1 if still else rng.choice((1, 2, 3, 5)), quality=head.quality)
    port = InventingPort(rng, family.tables)
    frames: Any = None
    try:
        frames = family.decode(group_spec(head, group.frames, group.quality), port, family.decoders[0])
    except (ValueError, LookupError, ArithmeticError):  # what codec.coding.groups turns into a FormatError
        pass
    chunks: Chunks = [("HEAD", write_header(head)), ("GRUP", write_group(group, head) + port.coded())]
    return join(chunks if still else reindexed([*chunks, ("TEND", bytes(8))])), frames if family.exact else None
