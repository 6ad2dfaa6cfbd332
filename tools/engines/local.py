"""Jobs in processes of this machine, or in this process.

Each worker is a pool of one process that has one job at a time, so when a process dies it is known whose job it was,
and no other job is lost with it.  A worker ends with the process that started it, however that ends.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any, Generic

from tessera.tools.engines.engine import TRIES, Job, WorkerDied, outcome_of


class LocalEngine:
    """Engine "local": `workers` processes of `threads` threads each; 0: everything happens in this process."""

    batch = 1

    def __init__(self, workers: int, threads: int = 1) -> None:
        self.workers, self.threads = workers, threads
        self.apart = workers > 0

    def run(self, work: Callable[[Job], Any], jobs: Iterable[Job]) -> Iterator[tuple[Job, Any]]:
        """See `Engine.run`."""
        if not self.apart:
            for job in jobs:
                yield job, outcome_of(work, job)
            return
        left, pool = iter(jobs), _Pool(work, self.threads)
        try:
            while True:
                done = pool.take()
                for job in itertools.islice(left, self.workers - len(pool.running)):
                    pool.hand(job)  # before the caller gets what is done: no worker waits for the caller
                yield from done
                if not pool.running:
                    return
        finally:
            pool.close()

    def close(self) -> None:
        """See `Engine.close`: the workers end with `run`."""


class _Pool(Generic[Job]):
    """Workers, and who of them has which job."""

    def __init__(self, work: Callable[[Job], Any], threads: int) -> None:
        self.work, self.threads = work, threads
        self.free: list[ProcessPoolExecutor] = []
        self.running: dict[Future[Any], tuple[ProcessPoolExecutor, Job, int]] = {}  # worker, job, how often tried

    def hand(self, job: Job, tries: int = 1) -> None:
        """Give a job to a worker that is free, or to a new one."""
        worker = self.free.pop() if self.free else self._start()
        try:
            future = worker.submit(outcome_of, self.work, job)
        except BrokenProcessPool:  # it died while it had no job
            worker = self._start()
            future = worker.submit(outcome_of, self.work, job)
        self.running[future] = worker, job, tries

    def take(self) -> list[tuple[Job, Any]]:
        """Wait for the next jobs that end: the jobs and their outcomes.  Nothing where nothing runs."""
        done: list[tuple[Job, Any]] = []
        for future in wait(self.running, return_when=FIRST_COMPLETED).done if self.running else ():
            worker, job, tries = self.running.pop(future)
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                if tries < TRIES:
                    self.hand(job, tries + 1)
                else:
                    done.append((job, WorkerDied()))
                continue
            self.free.append(worker)
            done.append((job, error or future.result()))
        return done

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        return ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(self.threads,))

    def close(self) -> None:
        """End all workers."""
        for worker in (*self.free, *(worker for worker, _, _ in self.running.values())):
            worker.shutdown(wait=True, cancel_futures=True)


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _begin(threads: int) -> None:
    """In a new worker: the threads to compute on, and one that ends the worker when its parent is gone.

    A killed parent cannot tell its workers, and they would not notice: each of them holds both ends of the queue that
    it waits at.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)  # PyTorch reads it when it is imported, not yet; the kernels always
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
