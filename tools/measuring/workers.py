"""Jobs done in this process or in several, each outcome kept as soon as it is there.

A worker ends with the process that started it, however that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from tessera.codec.errors import CodecError
from tessera.codec.options import Progress
from tessera.tools.measuring.job import Failure, Job, reason, setting_text, subject
from tessera.tools.measuring.rows import AnyRow, RowFile
from tessera.tools.peers.peer import Peer


def collect(jobs: Sequence[Job], work: Callable[[Any, Peer[Any, Any]], AnyRow], store: RowFile[AnyRow], workers: int,
            progress: Progress | None = None, done: int = 0) -> tuple[list[AnyRow], list[Failure]]:  # fmt: skip
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


def run(jobs: Sequence[Any], work: Callable[[Any], Any], workers: int) -> Iterator[tuple[int, Any]]:
    """`work(job)` of every job as it is done, in this process or in several: its place in `jobs`, and its outcome.

    The outcome is the exception where there was one: whatever a codec or library does, the other jobs are done.
    """
    if workers <= 1 or len(jobs) <= 1:
        for place, job in enumerate(jobs):
            yield place, _outcome(work, job)
        return
    left = dict(enumerate(jobs))
    while left:
        yield from _run_in_pool(left, work, workers)
        if left and workers == 1:  # whose job comes first is the one that died
            place = min(left)
            del left[place]
            yield place, CodecError("its process died (out of memory?)")
        workers = 1


def _run_in_pool(left: dict[int, Any], work: Callable[[Any], Any], workers: int) -> Iterator[tuple[int, Any]]:
    """Do the jobs `left` in new processes and take what is done out of it; some are left where a process died."""
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    pool = ProcessPoolExecutor(min(workers, len(left)), mp_context=context, initializer=_begin)
    try:
        futures = {pool.submit(_outcome, work, job): place for place, job in left.items()}
        for future in as_completed(futures):
            if not isinstance(future.exception(), BrokenProcessPool):
                del left[futures[future]]
                yield futures[future], future.exception() or future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _outcome(work: Callable[[Any], Any], job: Any) -> Any:
    try:
        return work(job)
    except Exception as error:
        return error


def _begin() -> None:
    """In a new worker: one thread to compute on, and one that ends the worker when its parent is gone.

    A killed parent cannot tell its workers, and they would not notice: each of them holds both ends of the queue that
    it waits at.
    """
    os.environ["OMP_NUM_THREADS"] = "1"  # PyTorch reads it when it is imported, which it is not yet; the kernels always
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
