"""Settings of the whole test run, and what many tests start from."""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tessera.models.nerv.quantise import LadderCosts

# Read once, when torch is imported: threads that spin while they wait slow down everything on shared cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores: one thread each
    os.environ["OMP_NUM_THREADS"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files with slow tests first: a long file that starts last would leave the other workers idle."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A worker for each file in turn, and one worker for all files that load transformers, which takes seconds."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return "transformers" if _mentions_transformers(config.rootpath / file) else file

    return Scheduling(config, log)


@cache
def _mentions_transformers(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return "import tiny_vlm" in text or '"transformers"' in text


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if importlib.util.find_spec(name) is None:
                pytest.skip(f"{name} is not installed")


@pytest.fixture
def weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the package's weights, of which nothing is loaded yet."""
    from tessera.codec.coding import weights

    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    monkeypatch.setattr(weights, "_families", {})
    return tmp_path


@pytest.fixture(scope="session")
def ladder() -> LadderCosts:
    """The tables of family `nerv`."""
    from .support.nerv_twin import shipped_ladder

    return shipped_ladder()
