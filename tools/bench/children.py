"""Runs work in a process of its own and measures its memory, as Linux accounts for it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")  # absent on other systems, where nothing here works
MiB = 1 << 20


def in_child(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call `work(*arguments)` in a new process and return its result; None where the process died."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, work, arguments))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return None
    finally:
        process.join()


def _send(sender: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    sender.send(work(*arguments))


def resident() -> float:
    """MiB that the process holds now."""
    return _status("VmRSS")


def peak() -> float:
    """MiB that it held at most, since it began or since `forget_peak`."""
    return _status("VmHWM")


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> float:
    lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return 1024 * float(next(line.split()[1] for line in lines if line.startswith(name + ":"))) / MiB
