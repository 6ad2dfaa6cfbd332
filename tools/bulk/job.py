"""A job from end to end: plan, engine, manifest, report."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import tessera
from tessera.codec.errors import ParameterError
from tessera.data import storage
from tessera.tools.bulk.items import items
from tessera.tools.bulk.manifest import (
    DONE,
    FAILED,
    MANIFEST,
    REFUSED,
    Finished,
    ItemRow,
    Manifest,
    number_of,
    readable,
)
from tessera.tools.bulk.operations import Operation
from tessera.tools.bulk.plan import JobPlan, halves, shard_name, shard_number
from tessera.tools.bulk.replaced import drop_replaced
from tessera.tools.bulk.work import UNCHANGED, BulkTask, Work
from tessera.tools.engines.engine import Engine, WorkerDied
from tessera.tools.engines.making import make_engine

SHOWN = 20  # failed items that a report names; the manifest has all of them


@dataclass(frozen=True, kw_only=True)
class BulkSettings:
    """A job over many files.

    Attributes:
        operation: What is done to each item: `Encode`, `Decode`, `Tokens` or `Verify`.
        sources: Folders, patterns, manifests, tar shards and files: paths or URLs; see `items`.
        target: The output folder: a path or a URL.
        shard: Items of a tar shard.  None: every output is a file of its own.
        column: The column of manifests that names the files.
        force: Do again what is finished.
        engine: "local" or "ray".
        workers: Worker processes; 0 (engine local): none but this one.  None: one per core.
        address: Of a Ray cluster.  None: a cluster of this machine alone.
        threads: Threads of each worker.
        gpu: A GPU for each worker (engine ray).
    """

    operation: Operation
    sources: Sequence[str]
    target: str
    shard: int | None = None
    column: str | None = None
    force: bool = False
    engine: str = "local"
    workers: int | None = None
    address: str | None = None
    threads: int = 1
    gpu: bool = False

    def __post_init__(self) -> None:
        if self.shard is not None and self.shard < 1:
            raise ParameterError(f"shards of {self.shard} items: at least 1 is needed")
        if not self.sources or not all(self.sources) or not self.target:
            raise ParameterError("give at least one source, and the folder to write to")


@dataclass(frozen=True)
class BulkReport:
    """What a job did.

    Attributes:
        items: That the sources have.
        done: Done in this run.
        finished: Left out, as an earlier run finished them.
        failed: Could not be done.
        source_bytes: Of the items done.
        bytes: Of their outputs.
        frames: Of the items done.
        seconds: Of the whole job.
        manifest: Path or URL of the table that has a row for each item.
        failures: Key and reason of the first failed items.
    """

    items: int
    done: int
    finished: int
    failed: int
    source_bytes: int
    bytes: int
    frames: int
    seconds: float
    manifest: str
    failures: list[tuple[str, str]] = field(default_factory=list)


Watch = Callable[[int, int, int], None]
"""Called with the items that are done, those to do, and how many of them failed."""


def run_job(settings: BulkSettings, watch: Watch | None = None) -> BulkReport:
    """Do a job; what an earlier run finished is not done again.

    Raises:
        ParameterError: A source does not exist, or the settings contradict each other.
        FormatError: A manifest or an archive is damaged.
        UnsupportedError: A package is missing.
    """
    began = time.monotonic()
    with closing(_engine(settings)) as engine, JobPlan() as plan:
        job = _Job(settings, engine)
        job.fill(plan)
        return job.run(plan, watch, began)


def _engine(settings: BulkSettings) -> Engine:
    engine = make_engine(
        settings.engine, settings.workers, address=settings.address, threads=settings.threads, gpu=settings.gpu
    )
    own = [name for name in (*settings.sources, settings.target) if name.startswith("memory:")]
    if engine.apart and own:
        engine.close()
        raise ParameterError(f"{own[0]}: other processes do not see this memory; use --workers 0")
    return engine


def settings_id(operation: Operation) -> str:
    """16 digits for everything that the outputs depend on besides the sources."""
    values = {"operation": operation.name, "version": tessera.__version__, **operation.settings()}
    return hashlib.sha256(json.dumps(values, default=str, sort_keys=True).encode()).hexdigest()[:16]


class _Job:
    """The counts and the manifest of a job."""

    def __init__(self, settings: BulkSettings, engine: Engine) -> None:
        self.settings, self.engine = settings, engine
        self.id = settings_id(settings.operation)
        self.manifest = Manifest(settings.target)
        self.done = self.finished = self.failed = 0
        self.source_bytes = self.bytes = self.frames = 0
        self.failures: list[tuple[str, str]] = []
        self.next_shard = 0

    def fill(self, plan: JobPlan) -> None:
        """Look at the output folder, remove what a killed run left unfinished, and plan what is to be done."""
        settings = self.settings
        self.manifest.check_operation(settings.operation.name)
        outputs, numbers = self._outputs()
        finished = None if settings.force else Finished(self.manifest, self.id, outputs)
        self.next_shard = 1 + max(numbers, default=-1)
        found = items(settings.sources, settings.operation.sources, settings.column)
        plan.fill(found, finished, flat=settings.shard is not None)

    def _outputs(self) -> tuple[set[int], set[int]]:
        """`number_of(name, size)` of the files in the folder, and the numbers of shards, whose size counts as 0."""
        target = self.settings.target
        outputs: set[int] = set()
        numbers: set[int] = set()
        if not storage.is_folder(target):
            return outputs, numbers
        for short, found in storage.listing(target):
            shard = shard_number(short)
            outputs.add(number_of(short, 0 if short.endswith(".tar") else found.size))
            if shard is not None:
                numbers.add(shard)
        first = min(self.manifest.unfinished(), default=None)
        if first is not None:
            kept = {row["output"] for row in self.manifest.rows("output", "member") if row["member"]}
            for number in sorted(number for number in numbers if number >= first):
                if shard_name(number) not in kept:  # a run was killed after it wrote this shard and before its rows
                    storage.remove(storage.joined(target, shard_name(number)))
                    numbers.discard(number)
        return outputs, numbers

    def run(self, plan: JobPlan, watch: Watch | None, began: float) -> BulkReport:
        """Do what is planned."""
        sharded, first = self.settings.shard is not None, self.next_shard
        size = self.settings.shard or self.engine.batch
        self.next_shard += -(-plan.left // size)
        self.manifest.begin(first)
        work = Work(self.settings.operation, self.settings.target, self.id)
        try:
            for what in plan.refusals():
                source = readable(what.source)
                self._add(self._failed(REFUSED + source, source, readable(what.reason)))
            tasks: Iterable[BulkTask] = plan.tasks(size, first if sharded else None)
            while tasks:  # a task whose worker died is halved until it is known which item it was
                dead: list[BulkTask] = []
                for row in self._rows(work, tasks, dead):
                    self._add(row)
                    if watch is not None:
                        watch(self.done + self.finished + self.failed, plan.found - plan.finished, self.failed)
                tasks = [half for task in dead for half in halves(task, self._new_shard() if sharded else None)]
        except BaseException:
            self.manifest.flush()
            raise
        self.manifest.flush()
        drop_replaced(self.manifest)
        self.manifest.finish()
        return BulkReport(
            plan.found, self.done, self.finished + plan.finished, self.failed, self.source_bytes, self.bytes,
            self.frames, time.monotonic() - began, storage.joined(self.settings.target, MANIFEST), self.failures,
        )  # fmt: skip

    def _new_shard(self) -> int:
        self.next_shard += 1
        return self.next_shard - 1

    def _rows(self, work: Work, tasks: Iterable[BulkTask], dead: list[BulkTask]) -> Iterator[ItemRow]:
        """The rows of all tasks; tasks of several items whose worker died go to `dead`."""
        for task, outcome in self.engine.run(work, tasks):
            if isinstance(outcome, WorkerDied) and len(task.items) > 1:
                dead.append(task)
            elif isinstance(outcome, Exception):  # the store refused a shard, or a worker died
                reason = f"{type(outcome).__name__}: {outcome}"
                for item in task.items:
                    yield self._failed(item.key, item.source, reason)
            else:
                yield from outcome

    def _failed(self, key: str, source: str, reason: str) -> ItemRow:
        name = self.settings.operation.name
        return ItemRow(key, source, FAILED, operation=name, settings=self.id, error=reason)

    def _add(self, row: ItemRow) -> None:
        if row.status == UNCHANGED:
            self.finished += 1
            return
        self.manifest.add(row)
        if row.status == DONE:
            self.done += 1
            self.source_bytes += row.source_bytes
            self.bytes += row.bytes
            self.frames += row.frames
            return
        self.failed += 1
        if len(self.failures) < SHOWN:
            self.failures.append((row.key, row.error))
