"""What `tessera bulk` costs beside a plain loop: the tables of docs/bulk.md.

    python -m tests.benchmarks.bulk [--items 1000] [--engines plain,local,ray] [--out FOLDER]

It needs psutil.  Pictures of 256x192 are encoded by a plain loop over `encode_file`, in the process of the job, and by
1 and 2 workers; with 2 workers one of them is killed on the way, and every item must be there once all the same.  Each
variant runs in a process of its own.  FOLDER gets rows.csv.

    items per second    from the first outcome to the last: starting is left out, since it does not grow
    CPU ms per item     of all processes of the job, those of Ray included, from the first outcome to the last
    start CPU s         of all of them until the first outcome
    driver ms per item  CPU of the process of the job alone: what bounds the number of workers that it can feed
    own ms per item     CPU of the encoding alone, which each worker measures around every item
    overhead ms         CPU ms less own ms: both of the same moments, so that the load of the machine cancels out
    speed-up by CPU     workers * own ms / CPU ms: beside a loop that only encodes, where every worker has a core
    peak MiB            of the process of the job, of its largest worker, and of Ray's own processes together
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import psutil  # type: ignore[import-untyped]
from PIL import Image

import tessera
from tessera.data import procedural
from tessera.tools.bulk.job import BulkSettings, run_job
from tessera.tools.bulk.operations import Encode, Made

OPTIONS = tessera.EncodeOptions(quality=50)
VARIANTS = (("plain", 1), ("ray", 1), ("ray", 2), ("local", 0), ("local", 1), ("local", 2))


class TimedEncode(Encode):
    """`Encode` that says how many seconds of CPU it took, where its warnings would stand."""

    def make(self, source: Path, sink: BinaryIO) -> Made:
        began = time.thread_time()
        made = super().make(source, sink)
        return replace(made, warnings=(str(time.thread_time() - began),))


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
    usages: list[Usage] = []
    killed, lost = 0, 0.0

    def watch(done: int, total: int, failed: int) -> None:
        nonlocal killed, lost
        stamps.append(time.perf_counter())
        if done in (1, total):
            usages.append(usage())
        if workers == 2 and not killed and done >= total // 4:
            killed = _a_worker(engine)
            if engine == "ray":  # Ray does not wait for its processes, so nobody would count what this one has used
                lost = sum(psutil.Process(killed).cpu_times()[:2])
            os.kill(killed, signal.SIGKILL)

    before, began = usage(), time.perf_counter()
    if engine == "plain":
        target.mkdir()
        own = 0.0
        for number, path in enumerate(paths):
            at = time.thread_time()
            tessera.encode_file(str(path), str(target / f"{path.stem}.tsr"), OPTIONS)
            own += time.thread_time() - at
            watch(number + 1, len(paths), 0)
    else:
        settings = BulkSettings(
            operation=TimedEncode(OPTIONS), sources=[str(source)], target=str(target), engine=engine, workers=workers
        )
        report = run_job(settings, watch)
        assert (report.done, report.failed) == (len(paths), 0), report
        own = _own_seconds(target, len(paths))
    assert len(list(target.glob("*.tsr"))) == len(paths)
    first, last = usages
    cpu_ms = 1e3 * (last.cpu + lost - first.cpu) / (len(paths) - 1)
    own_ms = 1e3 * own / len(paths)
    return {
        "engine": engine,
        "workers": workers,
        "items": len(paths),
        "items_per_second": round((len(paths) - 1) / (stamps[-1] - stamps[0]), 2),
        "first_outcome_s": round(stamps[0] - began, 2),
        "start_cpu_s": round(first.cpu - before.cpu, 2),
        "cpu_ms": round(cpu_ms, 2),
        "own_ms": round(own_ms, 2),
        "overhead_ms": round(cpu_ms - own_ms, 2),
        "speed_up_by_cpu": round(max(1, workers) * own_ms / cpu_ms, 2),
        "driver_ms": round(1e3 * (last.driver_cpu - first.driver_cpu) / (len(paths) - 1), 2),
        "driver_mib": last.driver_mib,
        "worker_mib": last.worker_mib,
        "ray_mib": last.ray_mib,
        "killed": bool(killed),
    }


@dataclass(frozen=True)
class Usage:
    """What this process and those that it started have used.

    Attributes:
        cpu: Seconds of all of them, of those that have ended too.
        driver_cpu: Seconds of this process alone.
        driver_mib: Peak of this process.
        worker_mib: Peak of the largest worker.
        ray_mib: Peaks of Ray's own processes, added.
    """

    cpu: float
    driver_cpu: float
    driver_mib: int
    worker_mib: int
    ray_mib: int


def usage() -> Usage:
    """The usage up to now, of the processes that live."""
    own = psutil.Process()
    cpu, workers, ray = sum(own.cpu_times()[:4]), [0], 0
    driver = sum(own.cpu_times()[:2])
    for child in own.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            cpu += sum(child.cpu_times()[:4])
            command = " ".join(child.cmdline())
            peak = _peak_mib(child.pid)
            if re.match("ray::MapWorker", command) or "spawn_main" in command:
                workers.append(peak)
            else:
                ray += peak
    return Usage(cpu, driver, _peak_mib(own.pid), max(workers), ray)


def _peak_mib(process: int) -> int:
    try:
        found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{process}/status").read_text())
    except OSError:  # it has ended
        return 0
    return int(found[1]) >> 10 if found else 0


def _own_seconds(target: Path, count: int) -> float:
    """The seconds of CPU that the items took; every item has one row."""
    import pyarrow.parquet as pq

    table = pq.read_table(target / "manifest.parquet", columns=["key", "warnings"]).to_pydict()
    assert len(set(table["key"])) == len(table["key"]) == count
    return sum(map(float, table["warnings"]))


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
    path = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])])}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        make_pictures(folder / "in", args.items)
        for engine, workers in VARIANTS:
            if engine not in args.engines.split(","):
                continue
            words = [engine, str(workers), str(folder / "in"), str(folder / f"{engine}-{workers}")]
            script = [sys.executable, "-c", "from tests.benchmarks.bulk import main; main()", "--one", *words]
            output = subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True, env=path).stdout
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
