"""What `tessera bulk` costs beside a plain loop: the tables of docs/bulk.md.

    python -m tests.benchmarks.bulk [--items 1000] [--engines local,ray] [--out FOLDER]

Pictures of 192x256 are encoded by a plain loop over `encode_file`, in the process of the job, and by 1 and 2 workers;
with 2 workers one of them is killed on the way, and every item must be there once all the same.  Each variant runs
in a process of its own.  FOLDER gets rows.csv.

    items per second    from the first outcome to the last: starting is left out, since it does not grow
    CPU ms per item     of the process of the job and its workers, everything included; not known of Ray
    driver ms per item  CPU of the process of the job alone: what bounds the number of workers that it can feed
    overhead per item   time of a worker between its items: (seconds * workers - sum of the items' own seconds) / items
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

import tessera
from tessera.data import procedural
from tessera.tools.bulk.job import BulkSettings, run_job
from tessera.tools.bulk.operations import Encode

OPTIONS = tessera.EncodeOptions(quality=50)
VARIANTS = (("plain", 1), ("local", 0), ("local", 1), ("local", 2), ("ray", 1), ("ray", 2))


def make_pictures(folder: Path, count: int) -> None:
    """Pictures that differ: parts of one picture at different places."""
    scene = procedural.picture(400, 640, seed=1)
    for number in range(count):
        top, left = 7 * number % 208, 11 * number % 384
        Image.fromarray(scene[top : top + 192, left : left + 256]).save(folder / f"{number:05d}.png", compress_level=1)


def measure(engine: str, workers: int, source: Path, target: Path) -> dict[str, Any]:
    """One variant, in this process."""
    paths = sorted(source.iterdir())
    tessera.encode_file(str(paths[0]), os.devnull, OPTIONS)  # weights are loaded
    stamps: list[float] = []
    killed = 0

    def watch(done: int, total: int, failed: int) -> None:
        nonlocal killed
        stamps.append(time.perf_counter())
        if workers == 2 and not killed and done >= total // 4:
            killed = _a_worker(engine)
            os.kill(killed, signal.SIGKILL)

    before = _cpu(resource.RUSAGE_SELF)
    began = time.perf_counter()
    if engine == "plain":
        target.mkdir()
        for path in paths:
            tessera.encode_file(str(path), str(target / f"{path.stem}.tsr"), OPTIONS)
            stamps.append(time.perf_counter())
        seconds = stamps[-1] - began
    else:
        settings = BulkSettings(
            operation=Encode(OPTIONS), sources=[str(source)], target=str(target), engine=engine, workers=workers
        )
        report = run_job(settings, watch)
        assert (report.done, report.failed) == (len(paths), 0), report
        seconds = _own_seconds(target, len(paths))
    elapsed = stamps[-1] - stamps[0]
    driver = _cpu(resource.RUSAGE_SELF) - before
    cpu = driver + _cpu(resource.RUSAGE_CHILDREN)
    assert len(list(target.glob("*.tsr"))) == len(paths)
    return {
        "engine": engine,
        "workers": workers,
        "items": len(paths),
        "items_per_second": round((len(paths) - 1) / elapsed, 2),
        "first_outcome_s": round(stamps[0] - began, 2),
        "cpu_ms": "" if engine == "ray" else round(1e3 * cpu / len(paths), 2),
        "driver_ms": round(1e3 * driver / len(paths), 2),
        "own_ms": round(1e3 * seconds / len(paths), 2),
        "overhead_ms": round(1e3 * (elapsed * max(1, workers) - seconds) / len(paths), 2),
        "driver_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "worker_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10,
        "killed": bool(killed),
    }


def _cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def _own_seconds(target: Path, count: int) -> float:
    """The seconds that the items took in their workers; every item has one row."""
    import pyarrow.parquet as pq

    table = pq.read_table(target / "manifest.parquet", columns=["key", "seconds"]).to_pydict()
    assert len(set(table["key"])) == len(table["key"]) == count
    return float(sum(table["seconds"]))


def _a_worker(engine: str) -> int:
    """The number of a process that works."""
    if engine == "local":
        return int(multiprocessing.active_children()[0].pid or 0)
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        if re.match(rb"ray::MapWorker", path.read_bytes()):
            return int(path.parent.name)
    raise RuntimeError("no actor of Ray Data is there")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--engines", default="plain,local,ray")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)  # a variant, in a process of its own
    args = parser.parse_args()
    if args.one:
        engine, workers, source, target = args.one
        print("ROW", json.dumps(measure(engine, int(workers), Path(source), Path(target))))
        return
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        make_pictures(folder / "in", args.items)
        for engine, workers in VARIANTS:
            if engine not in args.engines.split(","):
                continue
            words = [engine, str(workers), str(folder / "in"), str(folder / f"{engine}-{workers}")]
            script = [sys.executable, "-m", "tests.benchmarks.bulk", "--one", *words]
            output = subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True).stdout
            rows.append(json.loads(output.rpartition("ROW ")[2]))
            print(rows[-1], flush=True)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        with open(args.out / "rows.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
