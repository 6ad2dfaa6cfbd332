"""The coder beside CompressAI and constriction in one run: ratios, not absolute figures, are what must hold."""

from __future__ import annotations

import os

import pytest

from tessera.entropy import cpu_path
from tessera.tools.bench.coder import measure, table


def test_speed_and_size_beside_peers(capsys: pytest.CaptureFixture[str]) -> None:
    result = measure(n=1_000_000, rounds=3)
    with capsys.disabled():
        print("\n" + table(result))
    assert result["overhead"]["tessera"] < 0.001
    if cpu_path() == "scalar" or os.environ.get("TESSERA_CODER_PATH"):
        pytest.skip("the ratios are promised for the vector paths")
    least = {"compressai": 8, "constriction": 5}
    for peer, times in least.items():
        if peer in result["absent"]:
            pytest.skip(f"{peer}: {result['absent'][peer]}")
        assert min(result["ratios"][peer].values()) >= times, (peer, result["ratios"][peer])
