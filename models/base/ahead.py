"""Making the next thing while this one is worked on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from .kernels import at_most, threads

T = TypeVar("T")
_END = object()


@contextmanager
def one_ahead(items: Iterable[T], count: int) -> Iterator[Iterator[T]]:
    """The same items, of which there are `count`; their order and errors stay.

    Where the kernels may use several threads, half of them make the next item, one at a time and on a thread of its
    own, and the caller works with the others.
    """
    every = threads()
    if every < 2 or count < 2:
        yield iter(items)
        return
    with ThreadPoolExecutor(1, "ahead") as pool, at_most(every - every // 2):
        yield _ahead(pool, iter(items), every // 2)


def _ahead(pool: ThreadPoolExecutor, items: Iterator[T], most: int) -> Iterator[T]:
    def make() -> T | object:
        with at_most(most):
            return next(items, _END)

    made = pool.submit(make)
    while (item := made.result()) is not _END:
        made = pool.submit(make)
        yield item  # type: ignore[misc]
