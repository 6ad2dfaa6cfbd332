"""Memory that stays with the process."""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

import pytest
import torch

from tessera.models.nerv.heap import kept_memory

SIZE = 160 << 20


def page_faults(size: int) -> int:
    """Of a tensor of so many bytes that is filled and freed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(size // 4)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    """Bytes of memory that the process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")
def test_pages_are_fetched_once_and_given_back() -> None:
    before = resident()
    with kept_memory():
        page_faults(SIZE)
        assert page_faults(SIZE // 2) < SIZE // 2 // resource.getpagesize() // 100
        assert resident() > before + SIZE // 2
    assert resident() < before + SIZE // 2
