"""Settings of the whole test run, and what many tests start from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tessera.models.nerv.quantise import Ladder

# Read once, when torch is imported: threads that spin while they wait slow down everything on shared cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture
def weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the package's weights, of which nothing is loaded yet."""
    from tessera.codec.coding import weights

    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    monkeypatch.setattr(weights, "_families", {})
    return tmp_path


@pytest.fixture(scope="session")
def ladder() -> Ladder:
    """The tables of family `nerv`."""
    from .support.nerv_twin import shipped_ladder

    return shipped_ladder()
