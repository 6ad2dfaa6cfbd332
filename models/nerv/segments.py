"""A group as segments, each with its network: fitted, put to a port, got from a port, painted.

The first segment's network is coded as it is, every later one as its differences to the network before (NIRVANA), all
with the steps of the first; so one group's symbols hold all that its frames need, and groups stay independent.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

import torch
from torch import Tensor

from ..base.family import GroupSpec
from ..base.fitted import FitStatus, Store, Watch
from ..base.ports import Metered, Nowhere
from .bounds import check_allowed
from .config import MAX_PARAMETERS, Config, weights
from .fitting import Fit, Segment, coded_parts
from .heap import kept_memory
from .quantise import EMBEDDING, LadderCosts
from .schedule import Schedule
from .wire import IntegerReader, IntegerWriter, visit_config, visit_levels, visit_segment

Integers = dict[str, Tensor]  # name of the part -> int32

SAVE_EVERY = 60.0  # seconds between two states kept
STATE = 1  # version of kept states: a fit starts anew where a state has another one
FIRST_SHARE = 2.0  # the first network gets so many times the bits of a later one, of which only differences are coded


@dataclass(frozen=True)
class Plan:
    """How a group is fitted.

    bits: what its symbols may take; seconds: of the group; length: frames a segment; optimiser: one of `OPTIMISERS`.
    """

    bits: float
    epochs: int
    seconds: float = math.inf
    length: int = 1 << 16
    early: bool = False
    seed: int = 0
    optimiser: str = "muon"


@dataclass
class GroupIntegers:
    """A group's integers.  segments: one a segment, by part, weights as they are, not as differences."""

    config: Config
    length: int
    levels: list[int]
    segments: list[Integers]


def segment_spans(frames: int, length: int) -> list[tuple[int, int]]:
    """(first, count) of each segment."""
    return [(first, min(length, frames - first)) for first in range(0, frames, length)]


def visit_part(
    coder: IntegerWriter | IntegerReader, config: Config, count: int, given: Integers | None, before: Integers | None
) -> Integers:
    """One segment of `count` frames: what was given or is read, weights added up."""
    found: Integers = {}
    for part in coded_parts(config, count):
        base = before[part.name] if before is not None and part.name != EMBEDDING else None
        value = given[part.name].cpu() if given is not None else None
        if base is None:
            found[part.name] = coder.values(part, value)
        else:
            found[part.name] = base + coder.values(part, None if value is None else value - base)
    return found


def check_networks(config: Config, count: int) -> None:
    """ValueError when a group of `count` networks is larger than a decoder should accept."""
    if count * weights(config) > 2 * MAX_PARAMETERS:
        raise ValueError(f"{count} networks of {weights(config)} weights are too many")


def visit_group(coder: IntegerWriter | IntegerReader, spec: GroupSpec, coded: GroupIntegers | None) -> GroupIntegers:
    """A whole group through a writer, which returns `coded`, or a reader.  ValueError for what a decoder refuses."""
    config = visit_config(coder, spec, coded.config if coded else None)
    length = visit_segment(coder, spec, coded.length if coded else spec.frames)
    spans = segment_spans(spec.frames, length)
    check_networks(config, len(spans))
    if spec.allowance is not None:
        check_allowed(config, len(spans), spec.allowance)
    parts = coded_parts(config, spans[0][1])
    levels = visit_levels(coder, coded.levels if coded else [0] * len(parts))
    segments: list[Integers] = []
    for k, (_, count) in enumerate(spans):
        given = coded.segments[k] if coded else None
        segments.append(visit_part(coder, config, count, given, segments[-1] if segments else None))
    return GroupIntegers(config, length, levels, segments)


class GroupFit:
    """Fits the segments of one group; saves and resumes its state."""

    def __init__(
        self, config: Config, ladder: LadderCosts, frames: Tensor, plan: Plan, watch: Watch | None, store: Store | None
    ) -> None:
        self.config, self.ladder, self.frames, self.plan = config, ladder, frames, plan
        self.watch, self.store = watch, store
        self.length = min(plan.length, len(frames))
        self.spans = segment_spans(len(frames), self.length)
        check_networks(config, len(self.spans))
        self.done: list[Integers] = []
        self.saved = time.monotonic()
        self.begun, self.earlier = time.process_time(), 0.0
        self.stopped = False

    def run(self) -> GroupIntegers:
        """Fit.  KeyboardInterrupt passes; with `early`, the first one ends the fit with the present network."""
        with kept_memory():
            return self._run()

    def _run(self) -> GroupIntegers:
        plan = self.plan
        fit = Fit(self.config, self.ladder, self._segment(0), self._measure(), plan.seed, plan.optimiser)
        state = self._load()
        start = 0
        if state is not None:
            start, self.earlier = int(state["segment"]), float(state["cpu"])
            self.done = [_named(state, f"done.{k}.") for k in range(start)]
        for k in range(start, len(self.spans)):
            if k:
                fit.next_segment(self._segment(k), self.done[-1], self._measure())
            schedule = self._schedule(fit, k)
            if state is not None and k == start:
                fit.resume(state, schedule)
            if not self.stopped:
                self._fit(fit, schedule, k, resumed=state is not None and k == start)
            self.done.append(fit.integers())
        return GroupIntegers(self.config, self.length, fit.quantiser.levels(), self.done)

    def _fit(self, fit: Fit, schedule: Schedule, number: int, resumed: bool) -> None:
        weights_before, total = sum(self._shares[:number]), sum(self._shares)

        def report(status: FitStatus) -> None:
            if self.store is not None and time.monotonic() - self.saved > SAVE_EVERY:
                self._save(fit, schedule, number)
            if self.watch is not None:
                part = (weights_before + self._shares[number] * status.part) / total
                self.watch(replace(status, part=part))

        try:
            if resumed:
                report(replace(fit.status(schedule), earlier=self.earlier))
            fit.run(schedule, report)
        except KeyboardInterrupt:
            self._save(fit, schedule, number)
            if not self.plan.early:
                raise
            self.stopped = True

    @property
    def _shares(self) -> list[float]:
        """The share of bits and time of each segment, relative to a whole later one."""
        return [(FIRST_SHARE if k == 0 else 1.0) * count / self.length for k, (_, count) in enumerate(self.spans)]

    def _schedule(self, fit: Fit, number: int) -> Schedule:
        """A later segment starts from a fitted network and takes half the epochs."""
        epochs = self.plan.epochs if number == 0 else -(-self.plan.epochs // 2)
        seconds = self.plan.seconds * self._shares[number] / sum(self._shares)
        return Schedule(epochs * fit.steps_an_epoch, seconds)

    def _segment(self, number: int) -> Segment:
        """The bits that are left go to the segments that are left, by their shares."""
        first, count = self.spans[number]
        left = self.plan.bits - self._spent
        budget = left * self._shares[number] / sum(self._shares[number:])
        return Segment(self.frames[first : first + count], first, max(budget, 1.0))

    @property
    def _spent(self) -> float:
        before: list[Integers | None] = [None, *self.done]
        return sum(self._bits(k, found, before[k]) for k, found in enumerate(self.done))

    def _bits(self, number: int, found: Integers, before: Integers | None) -> float:
        """Bits of a segment in the stream, those of the header with the first one's."""
        port = Metered(Nowhere(), self.ladder.tables)
        writer = IntegerWriter(port, self.ladder.costs)
        if number == 0:
            config = self.config
            spec = GroupSpec(len(self.frames), config.height, config.width_pixels, config.channels, 0)
            visit_config(writer, spec, config)
            visit_segment(writer, spec, self.length)
            visit_levels(writer, [0] * len(found))
        visit_part(writer, self.config, self.spans[number][1], found, before)
        return port.spent

    def _measure(self) -> Callable[[Integers], float]:
        number = len(self.done)
        before = self.done[-1] if self.done else None
        return lambda found: self._bits(number, found, before)

    # -- state -------------------------------------------------------------------------------------------------------

    @property
    def _key(self) -> str:
        """Names the frames and everything that a state rests on."""
        plan = replace(self.plan, seconds=math.inf, early=False)
        digest = sha256(repr((STATE, self.config, plan, tuple(self.frames.shape))).encode())
        digest.update(self.frames.cpu().numpy().tobytes())
        return digest.hexdigest()[:24]

    def _save(self, fit: Fit, schedule: Schedule, number: int) -> None:
        if self.store is None:
            return
        state = {f"done.{k}.{name}": value for k, found in enumerate(self.done) for name, value in found.items()}
        cpu = self.earlier + time.process_time() - self.begun
        state |= {"segment": torch.tensor(number), "cpu": torch.tensor(cpu, dtype=torch.float64)}
        state |= fit.state(schedule)
        self.store.save(self._key, {name: tensor.cpu().numpy() for name, tensor in state.items()})
        self.saved = time.monotonic()

    def _load(self) -> dict[str, Tensor] | None:
        kept = None if self.store is None else self.store.load(self._key)
        return None if kept is None else {name: torch.from_numpy(array) for name, array in kept.items()}


def _named(state: dict[str, Tensor], prefix: str) -> Integers:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
