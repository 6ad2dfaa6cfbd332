"""The engine of a name."""

from __future__ import annotations

from tessera.codec.errors import ParameterError
from tessera.tools.engines.engine import Engine
from tessera.tools.engines.local import LocalEngine, cores
from tessera.tools.options import ENGINES


def make_engine(
    name: str, workers: int | None, *, address: str | None = None, threads: int = 1, gpu: bool = False
) -> Engine:
    """The engine of a name.

    Args:
        name: "local" or "ray".
        workers: Worker processes; 0, for engine local alone: no other process.  None: as many as there are cores, of
            this machine or of the cluster.
        address: Of a Ray cluster, as `ray.init` takes it.  None: a cluster of this machine alone.
        threads: Threads of each worker.
        gpu: Every worker gets a GPU of its own (engine ray).

    Raises:
        ParameterError: An argument does not fit the engine.
        UnsupportedError: Ray is not installed.
    """
    if name not in ENGINES:
        raise ParameterError(f"no engine {name!r}: there are {', '.join(ENGINES)}")
    if workers is not None and workers < (0 if name == "local" else 1):
        raise ParameterError(f"workers {workers}: at least 1 is needed")
    if threads < 1:
        raise ParameterError(f"threads {threads}: at least 1 is needed")
    if name == "ray":
        from tessera.tools.engines.cluster import RayEngine  # Ray takes seconds to import

        return RayEngine(workers, address, threads, gpu)
    if address is not None:
        raise ParameterError("an address is of engine ray")
    return LocalEngine(max(1, cores() // threads) if workers is None else workers, threads)
