"""Runs measurements side by side: one job is one codec at one setting on one file, done in a worker process.

A job that fails, even one that kills its process, is reported and the others go on.  Each worker computes on one
thread, so the number of jobs at a time is the number of cores in use.  A worker ends with the process that started it,
however that one ends.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from tessera.codec.errors import CodecError, ParameterError
from tessera.tools.evaluation.rows import AnyRow, Row, RowFile, rewrite
from tessera.tools.options import Progress
from tessera.tools.peers.peer import Peer, parse


@dataclass(frozen=True)
class Context:
    """What all jobs of a run have in common.

    kind          "images" or "video"
    qualities     of our families
    msssim_every  MS-SSIM and LPIPS of every n-th frame of a clip, the first one included
    checkpoint    folder for the states of families that fit networks to clips
    """

    kind: str
    qualities: tuple[float, ...]
    device: str = "cpu"
    msssim_every: int = 8
    checkpoint: Path | None = None


@dataclass(frozen=True)
class Job:
    """One codec at one setting on one file; `digest` names what the file holds."""

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
        if clips:
            return families.clip_family(spec, context.qualities, context.device, context.checkpoint)
        return families.picture_family(spec, context.qualities, context.device)
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


def digest_of(path: Path) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def measure(context: Context, codecs: Sequence[str], paths: Sequence[Path], file: Path, *, workers: int = 1,
            progress: Progress | None = None) -> tuple[list[Row], list[Failure]]:  # fmt: skip
    """Every codec at each of its settings on every path; what the CSV `file` holds already is not measured again."""
    peers = [subject(context, spec) for spec in codecs]
    digests = {path: digest_of(path) for path in paths}
    jobs = {
        (peer.name, version_text(peer), setting_text(peer, setting), digest):
            Job(context, peer.name, setting, path, digest)
        for path, digest in digests.items() for peer in peers for setting in peer.settings
    }  # fmt: skip
    with RowFile(file, Row) as store:
        known = {row.key: row for row in store.rows}
        rows = [known[key] for key in jobs if key in known]
        todo = [job for key, job in jobs.items() if key not in known]
        new, failures = collect(todo, _measure_source, store, workers, progress, done=len(rows))
    rewrite(file, store.rows, Row)
    return _in_order([*rows, *new], peers, digests), failures


def _measure_source(job: Job, codec: Peer[Any, Any]) -> Row:
    if job.context.kind == "video":
        from tessera.tools.evaluation import video

        return video.measure_clip(job, codec)
    from tessera.tools.evaluation import images

    return images.measure_picture(job, codec)


def collect(jobs: Sequence[Job], work: Callable[[Any, Peer[Any, Any]], AnyRow], store: RowFile[AnyRow], workers: int,
            progress: Progress | None = None, done: int = 0) -> tuple[list[AnyRow], list[Failure]]:  # fmt: skip
    """`work(job, codec)` of every job: the rows, each kept in `store` as soon as it is there, and what failed.

    `done` is the number of rows that were there before, for the progress.
    """
    rows: list[AnyRow] = []
    failures: list[Failure] = []
    for place, outcome in run(jobs, partial(_call, work), workers):
        if isinstance(outcome, Exception):
            failures.append(failure(jobs[place], outcome))
        else:
            store.add(outcome)
            rows.append(outcome)
        if progress:
            progress(done + len(rows) + len(failures), done + len(jobs))
    return rows, failures


def _in_order(rows: Iterable[Row], peers: Sequence[Peer[Any, Any]], digests: Mapping[Path, str]) -> list[Row]:
    """By codec, setting and source as they were asked for."""
    codecs = asked_order(peers)
    sources = {digest: index for index, digest in enumerate(digests.values())}
    return sorted(rows, key=lambda row: (*codecs[row.codec, row.setting], sources[row.sha256]))


def asked_order(peers: Sequence[Peer[Any, Any]]) -> dict[tuple[str, str], tuple[int, int]]:
    """(codec, setting) of a row -> its place among the codecs and settings that were asked for."""
    return {
        (peer.name, setting_text(peer, setting)): (i, j)
        for i, peer in enumerate(peers)
        for j, setting in enumerate(peer.settings)
    }


def _call(work: Callable[[Any, Peer[Any, Any]], AnyRow], job: Job) -> AnyRow:
    return work(job, subject(job.context, job.codec))


def failure(job: Job, error: Exception) -> Failure:
    """What `error` says about a job."""
    setting = setting_text(subject(job.context, job.codec), job.setting)
    return Failure(job.codec, setting, job.path.name, reason(error))


def reason(error: Exception) -> str:
    """An error's type and message on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"


def run(jobs: Sequence[Any], work: Callable[[Any], Any], workers: int) -> Iterator[tuple[int, Any]]:
    """`work(job)` of every job as it is done, in this process or in several: its place in `jobs`, and its outcome.

    The outcome is the exception where there was one: whatever a codec or library does, the other jobs are done.
    """
    if workers <= 1 or len(jobs) <= 1:
        for place, job in enumerate(jobs):
            yield place, _outcome(work, job)
        return
    left = dict(enumerate(jobs))
    while left:
        yield from _run_in_pool(left, work, workers)
        if left and workers == 1:  # whose job comes first is the one that died
            place = min(left)
            del left[place]
            yield place, CodecError("its process died (out of memory?)")
        workers = 1


def _run_in_pool(left: dict[int, Any], work: Callable[[Any], Any], workers: int) -> Iterator[tuple[int, Any]]:
    """Do the jobs `left` in new processes and take what is done out of it; some are left where a process died."""
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    pool = ProcessPoolExecutor(min(workers, len(left)), mp_context=context, initializer=_begin)
    try:
        futures = {pool.submit(_outcome, work, job): place for place, job in left.items()}
        for future in as_completed(futures):
            if not isinstance(future.exception(), BrokenProcessPool):
                del left[futures[future]]
                yield futures[future], future.exception() or future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _outcome(work: Callable[[Any], Any], job: Any) -> Any:
    try:
        return work(job)
    except Exception as error:
        return error


def _begin() -> None:
    """In a new worker: one thread to compute on, and one that ends the worker when its parent is gone.

    A killed parent cannot tell its workers, and they would not notice: each of them holds both ends of the queue that
    it waits at.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
