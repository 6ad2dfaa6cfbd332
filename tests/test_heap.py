"""Memory that stays with the process."""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

import pytest
import torch

from tessera.models.heap import kept_memory

SIZE = 160 << 20


def page_faults() -> int:
    """Of a tensor of `SIZE` bytes that is filled and freed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(SIZE // 4)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    """Bytes of memory that the process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")
def test_pages_are_fetched_once_and_given_back() -> None:
    before = resident()
    with kept_memory():
        assert min(page_faults() for _ in range(5)) < SIZE // resource.getpagesize() // 100
        assert resident() > before + SIZE // 2
    assert resident() < before + SIZE // 2
