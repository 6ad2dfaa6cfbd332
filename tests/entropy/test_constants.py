"""Numbers that the coder's C++ and Python both have are the same."""

from __future__ import annotations

from tessera.entropy import _coder, prefix, reference, tables


def test_the_coder_and_its_twins_agree() -> None:
    assert _coder.CONSTANTS == {
        "PRECISION": tables.PRECISION,
        "TOTAL": tables.TOTAL,
        "MAX_TABLES": tables.MAX_TABLES,
        "MAX_SIZE": tables.MAX_SIZE,
        "LOWEST": reference.LOWEST,
        "MAX_LANES": reference.MAX_LANES,
        "LANE_BYTES": reference.LANE_BYTES,
    }
    # first byte, the longest LEB128 number, the states
    assert prefix.HEAD_BYTES == 1 + 9 + 4 * _coder.CONSTANTS["MAX_LANES"]
