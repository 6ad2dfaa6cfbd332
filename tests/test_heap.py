"""Memory that stays with the process."""

from __future__ import annotations

import ctypes
import resource
import sys

import pytest
import torch

from tessera.models.heap import kept_memory

COUNT = 20
PAGES = (40 << 20) // resource.getpagesize()


def page_faults() -> int:
    """Of `COUNT` tensors of 40 MiB, one after the other."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(COUNT):
        torch.ones(10 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")
def test_pages_are_fetched_once() -> None:
    with kept_memory():
        page_faults()
        assert page_faults() < PAGES
    page_faults()
    assert page_faults() > COUNT * PAGES // 600  # given back again; huge pages are 512 in one
