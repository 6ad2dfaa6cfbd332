"""Jobs on a Ray cluster: Ray Data streams them through a pool of actors, one per worker.

A job that an actor dies on is tried again by Ray.  If it dies again, Ray drops it, and it is missed at the end of its
page.  Jobs go to Ray in pages, so that neither this process nor the cluster's store ever holds them all.
"""

from __future__ import annotations

import itertools
import logging
import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tessera.codec.errors import CodecError, UnsupportedError
from tessera.tools.engines.engine import TRIES, Job, WorkerDied, outcome_of

PAGE = 1000  # jobs of a page for each worker: a page ends with its slowest job, and its actors are started anew
LEAST_PAGE = 10_000


class RayEngine:
    """Engine "ray": actors of `threads` cores each, on the cluster at `address` or on one that is started here."""

    batch = 8
    apart = True

    def __init__(self, workers: int | None, address: str | None, threads: int = 1, gpu: bool = False) -> None:
        try:
            import ray.data
        except ImportError as error:
            raise UnsupportedError(f"engine ray: {error}; pip install 'tessera-codec[bulk]' brings Ray Data") from error
        self.threads, self.gpu, self.address = threads, gpu, address
        self.started = not ray.is_initialized()
        if self.started:
            try:
                if address is None:
                    here = None if workers is None else workers * threads
                    ray.init(num_cpus=here, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
                else:
                    ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
            except Exception as error:  # Ray raises that class itself where a node does not come up
                raise CodecError(f"engine ray: {error}") from error
        total = int(ray.cluster_resources().get("CPU", 1))
        self.workers = max(1, total // threads) if workers is None else workers
        for name in ("ray.data", "ray.data._internal.execution.streaming_executor"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # dropped jobs are in our own report
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1

    def run(self, work: Callable[[Job], Any], jobs: Iterable[Job]) -> Iterator[tuple[Job, Any]]:
        """See `Engine.run`."""
        left = iter(jobs)
        while page := list(itertools.islice(left, max(LEAST_PAGE, PAGE * self.workers))):
            yield from self._run_page(work, page)

    def close(self) -> None:
        """See `Engine.close`: leaves the cluster, ends one that was started here."""
        import ray

        if self.started:
            ray.shutdown()

    def _run_page(self, work: Callable[[Job], Any], page: list[Job]) -> Iterator[tuple[Job, Any]]:
        import ray.data

        rows = [{"place": place, "job": pickle.dumps(job)} for place, job in enumerate(page)]
        found = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Actor,
            fn_constructor_args=(pickle.dumps(work), self.threads),
            batch_size=1,
            # jobs that wait at an actor which dies count as tried: with two deaths all of them would be dropped
            compute=ray.data.ActorPoolStrategy(size=min(self.workers, len(page)), max_tasks_in_flight_per_actor=1),
            num_cpus=self.threads,
            num_gpus=1 if self.gpu else None,
            max_restarts=-1,
            max_task_retries=TRIES - 1,
        )
        missing = dict(enumerate(page))
        for row in found.iter_rows():
            yield missing.pop(int(row["place"])), pickle.loads(row["outcome"])
        for job in missing.values():
            yield job, WorkerDied()


class _Actor:
    """One worker: what the work loads, such as a model, stays loaded between jobs."""

    def __init__(self, work: bytes, threads: int) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        self.work = pickle.loads(work)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        outcomes = [pickle.dumps(outcome_of(self.work, pickle.loads(job))) for job in batch["job"]]
        return {"place": batch["place"], "outcome": outcomes}
