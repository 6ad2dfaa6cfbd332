"""What is timed side by side: a family and, where CompressAI is installed, its hyperprior model."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from statistics import median
from typing import Any, TypeVar

from tessera.codec.errors import UnsupportedError

Name = TypeVar("Name", str, tuple[str, str])


def peer_is_installed() -> bool:
    return importlib.util.find_spec("compressai") is not None


def functions(who: str, codec: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """`encode(pixels)` and `decode(coded)` of "ours" or of the "peer"."""
    if who == "peer":
        from tessera.tools.peers.learned import CompressAI

        peer = CompressAI()
        return peer.encode, peer.decode
    import tessera

    return lambda pixels: tessera.encode(pixels, codec=codec), tessera.decode


def peer_work(pixels: Any) -> tuple[str, dict[tuple[str, str], Callable[[], Any]]]:
    """The peer's name and work; the reason and nothing where it is not installed."""
    from tessera.tools.peers.learned import CompressAI

    try:
        peer = CompressAI()
    except UnsupportedError as error:
        return f"absent: {error}", {}
    coded = peer.encode(pixels)
    return peer.name, {
        ("peer", "encode"): lambda: peer.encode(pixels),
        ("peer", "decode"): lambda: peer.decode(coded),
    }


def alternate(work: dict[Name, Callable[[], Any]], runs: int) -> dict[Name, float]:
    """Median seconds of each piece of work; the pieces take turns, so a busy moment hits all alike."""
    times: dict[Name, list[float]] = {name: [] for name in work}
    for index in range(runs + 1):
        for name, call in work.items():
            start = time.perf_counter()
            call()
            if index:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in times.items()}
