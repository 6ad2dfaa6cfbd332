"""The default type and device of PyTorch that families need, whatever the calling program has set.

Families make tensors without naming a type or a device everywhere, so `torch.set_default_dtype` and
`torch.set_default_device` would change them.  The package enters `float32_on_cpu` where it calls a family.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

_lock = threading.Lock()
_inside = 0  # calls, of all threads, for which the default type is set to float32
_outside = torch.float32  # what it was before the first of them


@contextmanager
def float32_on_cpu() -> Iterator[None]:
    """Defaults of torch while a family is called.  Costs nothing where they are float32 and the processor anyway.

    The default device belongs to a thread.  The default type belongs to the process: it is float32 until the last
    running call has ended, and is then restored.
    """
    with ExitStack() as stack:
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if _enter():
            stack.callback(_leave)
        yield


def _enter() -> bool:
    """Make float32 the default type; False where no other one has to be restored."""
    global _inside, _outside
    with _lock:
        if not _inside:
            _outside = torch.get_default_dtype()
            if _outside == torch.float32:
                return False
            torch.set_default_dtype(torch.float32)
        _inside += 1
        return True


def _leave() -> None:
    global _inside
    with _lock:
        _inside -= 1
        if not _inside:
            torch.set_default_dtype(_outside)


def _after_fork() -> None:
    """In the child of a fork: no other thread is there, neither one that holds the lock nor those that torch shares
    its work among, for which it would wait for ever."""
    global _lock, _inside
    _lock = threading.Lock()
    if _inside:
        _inside = 0
        torch.set_default_dtype(_outside)
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
