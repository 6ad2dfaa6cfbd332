"""Measurements done in this process or in several, each outcome kept as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from tessera.codec.options import Progress
from tessera.tools.engines.local import LocalEngine
from tessera.tools.measuring.job import Failure, Job, reason, setting_text, subject
from tessera.tools.measuring.rows import AnyRow, RowFile
from tessera.tools.measuring.settings import Workers
from tessera.tools.peers.peer import Peer


def collect(jobs: Sequence[Job], work: Callable[[Any, Peer[Any, Any]], AnyRow], store: RowFile[AnyRow],
            workers: Workers, progress: Progress | None = None, done: int = 0
            ) -> tuple[list[AnyRow], list[Failure]]:  # fmt: skip
    """`work(job, codec)` of every job: the rows, each kept in `store` as soon as it is there, and what failed.

    `done` is the number of rows that were there before, for the progress.
    """
    rows: list[AnyRow] = []
    failures: list[Failure] = []
    for place, outcome in run(jobs, partial(_call, work), workers):
        if isinstance(outcome, Exception):
            failures.append(failure(jobs[place], outcome))
        else:
            store.add(outcome)
            rows.append(outcome)
        if progress:
            progress(done + len(rows) + len(failures), done + len(jobs))
    return rows, failures


def asked_order(peers: Sequence[Peer[Any, Any]]) -> dict[tuple[str, str], tuple[int, int]]:
    """(codec, setting) of a row -> its place among the codecs and settings that were asked for."""
    return {
        (peer.name, setting_text(peer, setting)): (i, j)
        for i, peer in enumerate(peers)
        for j, setting in enumerate(peer.settings)
    }


def _call(work: Callable[[Any, Peer[Any, Any]], AnyRow], job: Job) -> AnyRow:
    return work(job, subject(job.context, job.codec))


def failure(job: Job, error: Exception) -> Failure:
    """What `error` says about a job."""
    setting = setting_text(subject(job.context, job.codec), job.setting)
    return Failure(job.codec, setting, job.path.name, reason(error))


def run(jobs: Sequence[Any], work: Callable[[Any], Any], workers: Workers) -> Iterator[tuple[int, Any]]:
    """`work(job)` of every job as it is done, here or in other processes: its place in `jobs`, and its outcome.

    The outcome is the exception where there was one: whatever a codec or library does, the other jobs are done.
    """
    if isinstance(workers, int):
        workers = LocalEngine(workers if min(workers, len(jobs)) > 1 else 0)
    for (place, _), outcome in workers.run(partial(_of_numbered, work), enumerate(jobs)):
        yield place, outcome


def _of_numbered(work: Callable[[Any], Any], job: tuple[int, Any]) -> Any:
    return work(job[1])
