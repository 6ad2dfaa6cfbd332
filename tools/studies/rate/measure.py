"""Runs measurements side by side: one job is one codec at one setting on one file, done in a worker process.

A job that fails, even one that kills its process, is reported and the others go on.  Each worker computes on one
thread, so the number of jobs at a time is the number of cores in use.  A worker ends with the process that started it,
however that one ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tessera.codec.options import Progress
from tessera.tools.measuring.job import Failure, Job, JobContext, digest_of, setting_text, subject, version_text
from tessera.tools.measuring.rows import Row, RowFile, rewrite
from tessera.tools.measuring.settings import Workers
from tessera.tools.measuring.workers import asked_order, collect
from tessera.tools.peers.peer import Peer


def measure(context: JobContext, codecs: Sequence[str], paths: Sequence[Path], file: Path, *, workers: Workers = 1,
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
    return in_order([*rows, *new], peers, digests), failures


def in_order(rows: Iterable[Row], peers: Sequence[Peer[Any, Any]], digests: Mapping[Path, str]) -> list[Row]:
    """By codec, setting and source as they were asked for."""
    codecs = asked_order(peers)
    sources = {digest: index for index, digest in enumerate(digests.values())}
    return sorted(rows, key=lambda row: (*codecs[row.codec, row.setting], sources[row.sha256]))


def _measure_source(job: Job, codec: Peer[Any, Any]) -> Row:
    if job.context.kind == "video":
        from tessera.tools.measuring import video

        return video.measure_clip(job, codec)
    from tessera.tools.measuring import images

    return images.measure_picture(job, codec)
