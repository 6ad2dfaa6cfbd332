"""Samples per second of `CompressedStream` beside JPEG in WebDataset: the tables of docs/bulk.md.

    python -m tests.benchmarks.streams [--samples 192] [--rounds 3] [--out FOLDER]

Pictures of 256x192 in tar shards, as .tsr (quality 50, two families) and as JPEG (quality 90).  A loader with one or
two workers reads them in batches of 16 with a shuffle buffer of 64.  JPEG becomes float pixels (torch), or patches of
16x16 of them as a vision transformer takes them.  All variants take turns in each round; the least of the rounds
counts.  The keys of each round must be those of the shards, each once.  FOLDER gets streams.csv.

    samples per second      by the clock: what this machine gave in that moment
    CPU ms per sample       of the loader's process and its workers, which are forked when all is loaded
    samples per CPU second  1000 / CPU ms per sample: what one free core gives
"""

from __future__ import annotations

import argparse
import csv
import io
import resource
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import webdataset as wds
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset

import tessera
from tessera.data import CompressedStream, procedural, shards

SHARDS, BATCH, BUFFER = 8, 16, 64
KINDS = ("spatiotemporal", "wavelet", "jpeg")


def make_shards(folder: Path, count: int) -> dict[str, int]:
    """SHARDS archives of every kind: the bytes of the pictures of each."""
    scene = procedural.picture(400, 640, seed=1)
    sizes = dict.fromkeys(KINDS, 0)
    for kind in KINDS:
        (folder / kind).mkdir()
        for shard in range(SHARDS):
            with tarfile.open(folder / kind / f"{shard}.tar", "w") as tar:
                for number in range(shard, count, SHARDS):
                    top, left = 7 * number % 208, 11 * number % 384
                    data = _coded(kind, np.ascontiguousarray(scene[top : top + 192, left : left + 256]))
                    shards.add(tar, f"{number}.{'jpg' if kind == 'jpeg' else 'tsr'}", io.BytesIO(data), len(data))
                    sizes[kind] += len(data)
    return sizes


def _coded(kind: str, pixels: np.ndarray[Any, Any]) -> bytes:
    if kind != "jpeg":
        return tessera.encode(pixels, codec=kind, quality=50, effort="fast")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=90)
    return file.getvalue()


def jpegs(paths: list[str], make: Callable[[torch.Tensor], torch.Tensor]) -> IterableDataset[Any]:
    """The pipeline of WebDataset's own manual."""

    def sample(one: Mapping[str, Any]) -> dict[str, Any]:
        pixels = np.asarray(Image.open(io.BytesIO(one["jpg"])).convert("RGB"))
        return {"key": one["__key__"], "x": make(torch.from_numpy(pixels.copy()))}

    pipeline = wds.WebDataset(
        paths, shardshuffle=SHARDS, nodesplitter=wds.split_by_node, workersplitter=wds.split_by_worker, seed=0
    )
    found: IterableDataset[Any] = pipeline.shuffle(BUFFER).map(sample)
    return found


def _pixels(picture: torch.Tensor) -> torch.Tensor:
    return picture.permute(2, 0, 1).float() / 255


def _patches(picture: torch.Tensor) -> torch.Tensor:
    rows = _pixels(picture).unfold(1, 16, 16).unfold(2, 16, 16)
    return rows.permute(1, 2, 0, 3, 4).reshape(-1, 768)


def variants(folder: Path) -> Iterator[tuple[str, Callable[[], IterableDataset[Any]]]]:
    def stream(kind: str, **more: Any) -> Callable[[], IterableDataset[Any]]:
        return lambda: CompressedStream(sorted((folder / kind).glob("*.tar")), shuffle=BUFFER, **more)

    paths = [str(path) for path in sorted((folder / "jpeg").glob("*.tar"))]
    yield "JPEG, pixels", lambda: jpegs(paths, _pixels)
    yield "JPEG, patches of 16x16", lambda: jpegs(paths, _patches)
    for kind in ("wavelet", "spatiotemporal"):
        yield f"{kind}, latents", stream(kind, gives="latents")
        yield f"{kind}, 64 tokens", stream(kind, reduce="bits", budget=64)
        yield f"{kind}, frames", stream(kind, gives="frames")


def _batch(items: list[dict[str, Any]]) -> tuple[list[str], torch.Tensor]:
    found = [item["x"] if "x" in item else item["frames"] for item in items]
    return [item["key"] for item in items], torch.stack(found)


def _begin(_: int) -> None:
    torch.set_num_threads(1)


def measure(dataset: IterableDataset[Any], workers: int, count: int) -> tuple[float, float]:
    """Seconds by the clock and of CPU for each sample of one pass."""
    next(iter(dataset))  # weights are loaded
    loader = DataLoader(dataset, BATCH, num_workers=workers, collate_fn=_batch, worker_init_fn=_begin)
    cpu, began = _cpu(), time.perf_counter()
    keys = [key for keys, _ in loader for key in keys]
    seconds, used = time.perf_counter() - began, _cpu() - cpu
    assert sorted(map(int, keys)) == list(range(count)), "a sample is lost or doubled"
    return seconds / count, used / count


def _cpu() -> float:
    """Seconds of this process and of its workers, which have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    least: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        sizes = make_shards(Path(name), args.samples)
        for _ in range(args.rounds):
            for title, make in variants(Path(name)):
                for workers in (1, 2):
                    found = measure(make(), workers, args.samples)
                    best = least.setdefault((title, workers), [1e9, 1e9])
                    best[:] = map(min, best, found)
    rows = []
    for (title, workers), (seconds, cpu) in least.items():
        kind = title.partition(",")[0].lower()
        row = {
            "variant": title, "workers": workers, "samples": args.samples, "rounds": args.rounds,
            "bytes_per_sample": round(sizes[kind] / args.samples), "samples_per_second": round(1 / seconds, 1),
            "cpu_ms": round(1e3 * cpu, 2), "samples_per_cpu_second": round(1 / cpu, 1),
        }  # fmt: skip
        rows.append(row)
        print(row, flush=True)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        with open(args.out / "streams.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
