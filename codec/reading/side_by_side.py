"""Groups of a file side by side: coder and kernels run without the interpreter's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ...models.base.kernels import at_most, threads

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_order(work: Callable[[Given], Made], given: Iterable[Given], count: int) -> Iterator[Made]:
    """work(x) of each x, in order, a few at a time where there are threads and several of the `count` things to do.

    `given` is asked by the caller's thread alone, never far ahead.  The first error in this order is raised.
    """
    workers = min(threads(), count)
    if workers < 2:
        yield from map(work, given)
        return

    def alone(one: Given) -> Made:
        with at_most(1):  # of this group: the others take the other threads
            return work(one)

    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for one in given:
                waiting.append(pool.submit(alone, one))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
