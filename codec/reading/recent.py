"""What was made last, by key, up to a number of things; several threads may use it at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """At most `most` values; those that were used longest ago go first.  0 keeps nothing."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Key, value: Value) -> None:
        with self._lock:
            if self.most:
                self._values[key] = value
                self._values.move_to_end(key)
            self._trim(self.most)

    def make_room(self) -> None:
        """Let one go where all places are taken, before something large is made for its place."""
        with self._lock:
            self._trim(self.most - 1)

    def _trim(self, most: int) -> None:
        while len(self._values) > max(most, 0):
            self._values.popitem(last=False)
