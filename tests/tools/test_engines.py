"""Engines: every job has one outcome, dead workers cost one job at most, jobs are taken as they are needed."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tessera.codec.errors import ParameterError
from tessera.tools.engines.engine import WorkerDied
from tessera.tools.engines.local import LocalEngine
from tessera.tools.engines.making import make_engine


def test_jobs_are_taken_as_workers_become_free() -> None:
    taken = 0

    def jobs() -> Iterator[str]:
        nonlocal taken
        for number in range(30):
            taken += 1
            yield str(number)

    seen = 0
    for job, outcome in LocalEngine(2).run(int, jobs()):
        seen += 1
        assert outcome == int(job) and taken <= seen + 3
    assert seen == taken == 30


def test_workers_that_die() -> None:
    """Killed between two jobs it is replaced; a job that kills it twice fails alone; else it stays for the next job."""
    killed = []
    outcomes: list[object] = []
    for _, outcome in LocalEngine(1).run(eval, ["__import__('os').getpid()"] * 3 + ["__import__('os')._exit(1)", "7"]):
        outcomes.append(outcome)
        if len(outcomes) == 2:
            killed = multiprocessing.active_children()
            for child in killed:
                child.kill()
                child.join()
    assert killed and isinstance(outcomes[3], WorkerDied) and outcomes[4] == 7
    assert outcomes[0] == outcomes[1] != os.getpid()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "slurm", "workers": 1}, "no engine 'slurm'"),
        ({"name": "local", "workers": -1}, "at least 1"),
        ({"name": "ray", "workers": 0}, "at least 1"),
        ({"name": "local", "workers": 1, "threads": 0}, "threads 0"),
        ({"name": "local", "workers": 1, "address": "auto"}, "of engine ray"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make_engine(**arguments)  # type: ignore[arg-type]


@pytest.mark.needs("ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.ray_remote_args")
def test_ray(tmp_path: Path) -> None:
    """A real cluster of this machine with two workers: a job that kills its actor is dropped, no other."""
    once = (
        f"__import__('os').mkdir({str(tmp_path / 'once')!r}) or __import__('os')._exit(1)"  # kills the first time alone
    )
    jobs = ["1 / 0", "__import__('os').getpid()", once, "__import__('os')._exit(1)", *(f"{k} + 1" for k in range(8))]
    engine = make_engine("ray", 2)
    try:
        found = dict(engine.run(eval, jobs))
    finally:
        engine.close()
    assert isinstance(found[jobs[0]], ZeroDivisionError) and found[jobs[1]] != os.getpid()
    assert isinstance(found[jobs[2]], FileExistsError) and isinstance(found[jobs[3]], WorkerDied)
    assert [found[job] for job in jobs[4:]] == list(range(1, 9))
