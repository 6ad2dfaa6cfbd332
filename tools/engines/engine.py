"""What an engine is: it does jobs side by side and gives their outcomes as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from tessera.codec.errors import CodecError

TRIES = 2  # a worker that dies may have been killed by chance; the job that it died on gets one more

Job = TypeVar("Job")


class WorkerDied(CodecError):
    """A job's process died each time that the job was tried."""

    def __init__(self) -> None:
        super().__init__("its process died (out of memory?)")


class Engine(Protocol):
    """Does jobs in worker processes.  Jobs, outcomes and the work travel pickled.

    Attributes:
        batch: How many small things one job should hold, so that the engine's own time per job does not matter.
        apart: Whether the work is done in other processes than this one.
    """

    batch: int
    apart: bool

    def run(self, work: Callable[[Job], Any], jobs: Iterable[Job]) -> Iterator[tuple[Job, Any]]:
        """`work(job)` of every job, as it is done: the job and its outcome.

        The outcome is the exception where there was one, `WorkerDied` where the process died: the other jobs are done
        all the same.  Jobs are taken from the iterable as workers become free, never all at once.
        """

    def close(self) -> None:
        """Let go of what the engine itself started."""


def outcome_of(work: Callable[[Job], Any], job: Job) -> Any:
    """What `work` returns or raises."""
    try:
        return work(job)
    except Exception as error:
        return error
