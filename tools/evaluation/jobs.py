"""Runs measurements side by side: one job is one codec at one setting on one file, done in a worker process.

A job that fails is reported and the others go on.  Each worker computes on one thread, so the number of jobs at a time
is the number of cores in use.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tessera.codec.errors import CodecError, ParameterError
from tessera.tools.evaluation.rows import Row, RowFile, rewrite
from tessera.tools.options import Progress
from tessera.tools.peers.peer import Peer, parse


@dataclass(frozen=True)
class Context:
    """What all jobs of a run have in common.

    kind          "images" or "video"
    qualities     of our families
    msssim_every  MS-SSIM and LPIPS of every n-th frame of a clip, the first one included
    """

    kind: str
    qualities: tuple[float, ...]
    device: str = "cpu"
    msssim_every: int = 8


@dataclass(frozen=True)
class Job:
    context: Context
    codec: str
    setting: float
    path: Path
    digest: str


@dataclass(frozen=True)
class Failure:
    """A measurement that did not work out, and why."""

    codec: str
    setting: str
    source: str
    reason: str


@lru_cache(maxsize=64)
def subject(context: Context, spec: str) -> Peer[Any, Any]:
    """The codec that `spec` names, checked: ParameterError or UnsupportedError say what is wrong with it."""
    from tessera.tools.peers import families, learned, pictures, video

    clips = context.kind == "video"
    if spec.startswith(learned.PREFIX) and not clips:
        return learned.zoo_peer(spec)
    if families.known(spec):
        make = families.clip_family if clips else families.picture_family
        return make(spec, context.qualities, context.device)
    name = parse(spec)[0]
    names = video.CLIP_PEERS if clips else pictures.PICTURE_PEERS
    if name not in names:
        from tessera.models.registry import FAMILIES

        raise ParameterError(f"no codec {name!r} for {context.kind}; there are {', '.join([*FAMILIES, *names])}")
    found: Peer[Any, Any] = video.clip_peer(spec) if clips else pictures.picture_peer(spec)
    found.version()  # says now, not after an hour, that a library is missing
    return found


def setting_text(codec: Peer[Any, Any], setting: float) -> str:
    return f"{codec.parameter}={setting:g}"


def version_text(codec: Peer[Any, Any]) -> str:
    """The libraries and a digest of the fixed settings: rows made in another way are measured again."""
    return f"{codec.version()} [{hashlib.sha256(codec.about.encode()).hexdigest()[:6]}]"


def measure(context: Context, codecs: Sequence[str], paths: Sequence[Path], file: Path, *, workers: int = 1,
            progress: Progress | None = None) -> tuple[list[Row], list[Failure]]:  # fmt: skip
    """Every codec at each of its settings on every path; what the CSV `file` holds already is not measured again."""
    peers = [subject(context, spec) for spec in codecs]
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in paths}
    with RowFile(file) as store:
        known = {row.key: row for row in store.rows}
        rows: list[Row] = []
        jobs: list[Job] = []
        for path, digest in digests.items():
            for peer in peers:
                for setting in peer.settings:
                    row = known.get((peer.name, version_text(peer), setting_text(peer, setting), digest))
                    if row is None:
                        jobs.append(Job(context, peer.name, setting, path, digest))
                    else:
                        rows.append(row)
        failures = _collect(jobs, rows, store, workers, progress)
    rewrite(file, [*store.rows, *rows])
    return _in_order(rows, peers, digests), failures


def _collect(jobs: Sequence[Job], rows: list[Row], store: RowFile, workers: int, progress: Progress | None
             ) -> list[Failure]:  # fmt: skip
    """Run the jobs; add rows to `rows` and `store`; return what failed."""
    failures: list[Failure] = []
    total = len(rows) + len(jobs)
    for outcome in run(jobs, attempt, workers):
        if isinstance(outcome, Row):
            store.add(outcome)
            rows.append(outcome)
        else:
            failures.append(outcome)
        if progress:
            progress(len(rows) + len(failures), total)
    return failures


def _in_order(rows: Iterable[Row], peers: Sequence[Peer[Any, Any]], digests: dict[Path, str]) -> list[Row]:
    """By codec, setting and source as they were asked for."""
    codecs = {(peer.name, setting_text(peer, s)): (i, j) for i, peer in enumerate(peers)
              for j, s in enumerate(peer.settings)}  # fmt: skip
    sources = {digest: index for index, digest in enumerate(digests.values())}
    return sorted(rows, key=lambda row: (*codecs[row.codec, row.setting], sources[row.sha256]))


def attempt(job: Job) -> Row | Failure:
    """The measurement, or why there is none."""
    codec = subject(job.context, job.codec)
    try:
        if job.context.kind == "video":
            from tessera.tools.evaluation import video

            return video.measure_clip(job, codec)
        from tessera.tools.evaluation import images

        return images.measure_picture(job, codec)
    except Exception as error:  # whatever a codec or library does, the other files are still measured
        reason = " ".join(str(error).split()) or "no message"
        return Failure(job.codec, setting_text(codec, job.setting), job.path.name, f"{type(error).__name__}: {reason}")


def run(jobs: Sequence[Any], work: Any, workers: int) -> Iterator[Any]:
    """`work(job)` of every job as it is done, in this process or in several."""
    if workers <= 1 or len(jobs) <= 1:
        yield from map(work, jobs)
        return
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    pool = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_one_thread)
    try:
        for future in as_completed([pool.submit(work, job) for job in jobs]):
            yield future.result()
    except BrokenProcessPool as error:
        raise CodecError("a worker process died (out of memory?); run the same command again with fewer --jobs: "
                         "what has been measured is kept") from error  # fmt: skip
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
