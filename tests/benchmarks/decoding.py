"""What decoding one picture takes: a fit beside the default codec and AVIF at its size, and CompressAI's hyperprior.

    python -m tests.benchmarks.decoding FIT.tsr PICTURE

prints CPU milliseconds on one thread, the least of runs that take turns.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tessera
from tessera.codec.media.types import Pixels
from tessera.tools.bench.subjects import peer_work
from tessera.tools.bench.threads import use
from tessera.tools.measuring.pictures import read
from tessera.tools.peers.pictures import picture_peer

RUNS = 15


def avif_of(size: int, pixels: Pixels) -> bytes:
    """The largest AVIF file of at most so many bytes."""
    peer = picture_peer("avif")
    low, high = 1, 100
    while low < high:  # files grow with the quality
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(peer.encode(pixels, middle)) <= size else (low, middle - 1)
    return peer.encode(pixels, low)


def work(fit: bytes, pixels: Pixels) -> dict[str, Callable[[], Any]]:
    plain, avif = tessera.encode(pixels, size=len(fit)), avif_of(len(fit), pixels)
    name, hyperprior = peer_work(pixels)
    print(f"overfitted {len(fit)} bytes, spatiotemporal {len(plain)}, AVIF {len(avif)}; {name}")
    found: dict[str, Callable[[], Any]] = {
        "overfitted": lambda: tessera.decode(fit),
        "spatiotemporal": lambda: tessera.decode(plain),
        "AVIF": lambda: picture_peer("avif").decode(avif),
    }
    if hyperprior:
        found["hyperprior"] = hyperprior["peer", "decode"]
    return found


def fastest_in_turns(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """CPU seconds of the fastest run of each."""
    seconds = dict.fromkeys(calls, float("inf"))
    for _ in range(RUNS):
        for name, call in calls.items():
            begun = time.process_time()
            call()
            seconds[name] = min(seconds[name], time.process_time() - begun)
    return seconds


if __name__ == "__main__":
    use(1)
    for name, seconds in fastest_in_turns(work(Path(sys.argv[1]).read_bytes(), read(Path(sys.argv[2])))).items():
        print(f"{name:16}{1e3 * seconds:8.1f} ms")
