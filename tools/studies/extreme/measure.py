"""Measures picture codecs at hundredths of a bit per pixel, each at the file size that comes nearest.

Three kinds of sources: pictures; the labelled test pictures of a perception set, each a file of its own (`singles`:
one row for them all, at one setting); and the same pictures laid out as mosaics that are coded as one file and cut
apart again, where a file's header does not count for more than the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray

from tessera.codec.errors import ParameterError
from tessera.codec.media.types import Pixels
from tessera.codec.options import Progress
from tessera.tools.measuring import features, metrics, perception
from tessera.tools.measuring.job import Failure, Job, JobContext, digest_of, reason, setting_text, subject, version_text
from tessera.tools.measuring.mean import mean_of_all
from tessera.tools.measuring.pictures import read
from tessera.tools.measuring.rows import RowFile, rewrite
from tessera.tools.measuring.settings import Workers
from tessera.tools.measuring.workers import run
from tessera.tools.peers import families
from tessera.tools.peers.peer import PicturePeer, parse
from tessera.tools.studies.extreme.rows import MOSAICS, PICTURES, SINGLES, ExtremeOutcome, ExtremeRow, Sources
from tessera.tools.studies.extreme.settings import ExtremeSettings
from tessera.tools.studies.machine import measure as machine

COLUMNS, ROWS = 10, 4  # pictures in a mosaic
CLOSE = 0.01  # the search for a size stops at this relative difference
TRIALS = 8  # most encodings in search of a size, besides those known
SAMPLE = 10  # sizes of singles are searched for on every tenth picture
LADDERS: dict[str, tuple[float, ...]] = {  # settings that are measured, from the one that makes the smallest files
    "vqgan": (0, 20, 35, 50, 65, 80, 100),
    "jpeg": (1, 5, 10, 15),
    "webp": (0, 5, 10, 20),
    "avif": (0, 5, 10, 20),
    "jpegxl": (25, 15, 10, 6),
}
FAMILY_LADDER = (0, 5, 10, 20, 30)


@dataclass(frozen=True)
class ExtremeJob(Job):
    """One codec on one source, at a setting of its ladder or at the size nearest to a target.

    place      the number of a mosaic
    labelled   the labelled set;  images  of its test pictures, 0 for all
    least      the setting that makes the codec's smallest files
    model      file of the classifier;  judge  the set and the epochs that it was trained with
    known      (setting, bytes) of this codec on this source
    """

    kind: str
    source: str
    place: int
    labelled: Path
    images: int
    least: float
    model: Path
    judge: str
    target: float = 0.0
    known: tuple[tuple[float, int], ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """As of its row."""
        codec = subject(self.context, self.codec)
        setting = "" if self.target else setting_text(codec, self.setting)
        return (self.codec, version_text(codec), setting, self.kind, self.source, self.digest, self.judge, self.target)


def ladder(codec: str, qualities: tuple[float, ...] = ()) -> tuple[float, ...]:
    """Settings of a codec for low rates; the first makes its smallest files."""
    name = parse(codec)[0]
    if families.known(codec):
        low: tuple[float, ...] = qualities or LADDERS.get(name, FAMILY_LADDER)
        return low if 0 in low else (0, *low)
    if name in LADDERS:
        return LADDERS[name]
    peer = subject(JobContext("images", (0,)), codec)
    if peer.step == 0:
        return tuple(peer.settings)
    first = peer.limits[0] if peer.settings[0] < peer.settings[-1] else peer.limits[1]
    return tuple(dict.fromkeys((first, *peer.settings[:3])))


# -- everything --------------------------------------------------------------------------------------------------------


def measure(settings: ExtremeSettings, sources: Sources, folder: Path, *, workers: Workers = 1,
            progress: Progress | None = None) -> ExtremeOutcome:  # fmt: skip
    """A row for each codec, source, and setting of the ladder or target, as results.csv in `folder` keeps them.

    What that file or the classifier's holds already is neither measured nor trained again.
    """
    digest, path = digest_of(sources.labelled), sources.labelled
    model, clean = machine.classifier_of(path, digest, settings.images, settings.epochs, folder)
    jobs = _rungs(settings, sources, model, f"{digest}-{settings.epochs}")
    file = folder / "results.csv"
    with RowFile(file, ExtremeRow) as store:
        rows, failures = _collect(jobs, store, workers, progress)
        aims = _aims(settings, jobs, rows)
        more, failed = _collect(aims, store, workers, progress)
    latest = {(row.codec, row.subject): row for row in store.rows if row.target}
    rewrite(file, [row for row in store.rows if not row.target] + list(latest.values()), ExtremeRow)
    test = _test(path, settings.images)
    over = len(test.labels) % COLUMNS
    return ExtremeOutcome(clean, model, len(test.labels), over, [*rows, *more], [*failures, *failed])


def context_of(settings: ExtremeSettings) -> JobContext:
    """What all jobs have in common."""
    return JobContext("images", (0, 100), settings.device)


def _rungs(settings: ExtremeSettings, sources: Sources, model: Path, judge: str) -> list[ExtremeJob]:
    """The ladder of every codec on every picture and mosaic."""
    labelled, images = sources.labelled, settings.images
    side = _test(labelled, images).pixels.shape[1]
    for path in sources.pictures:
        if min(read(path).shape[:2]) < side:
            raise ParameterError(f"{path} is smaller than the labelled pictures, {side}x{side}")
    part = f"{judge.partition('-')[0]}/{images}"
    places = [(PICTURES, path.name, path, digest_of(path), 0) for path in sources.pictures]
    count = len(mosaics(labelled, images))
    places += [(MOSAICS, f"mosaic{place:02}", labelled, part, place) for place in range(count)]
    context = context_of(settings)
    rungs = {codec: ladder(codec, settings.qualities) for codec in settings.codecs}
    return [
        ExtremeJob(context, codec, setting, path, digest, kind, source, place, labelled, images, rungs[codec][0],
                   model, judge)
        for kind, source, path, digest, place in places
        for codec in settings.codecs
        for setting in rungs[codec]
    ]  # fmt: skip


def _aims(settings: ExtremeSettings, rungs: Sequence[ExtremeJob], rows: Sequence[ExtremeRow]) -> list[ExtremeJob]:
    """Every codec at every target: on the sources of its ladder, which tells where to search, and on all singles."""
    sizes: dict[tuple[str, str, str], list[tuple[float, int]]] = {}
    for row in rows:
        sizes.setdefault((row.codec, row.kind, row.source), []).append((row.value, row.bytes))
    places: dict[tuple[str, str], dict[str, ExtremeJob]] = {}
    for job in rungs:
        places.setdefault((job.kind, job.source), {})[job.codec] = job
    found = []
    for jobs in places.values():
        for codec, job in jobs.items():
            known = tuple(sizes.get((codec, job.kind, job.source), ()))
            found += [replace(job, setting=0.0, target=target, known=known) for target in settings.targets]
    last = next(jobs for (kind, _), jobs in places.items() if kind == MOSAICS)
    for job in last.values():
        found += [replace(job, setting=0.0, target=target, kind=SINGLES, source=SINGLES) for target in settings.targets]
    return found


def _collect(jobs: Sequence[ExtremeJob], store: RowFile[ExtremeRow], workers: Workers, progress: Progress | None
             ) -> tuple[list[ExtremeRow], list[Failure]]:  # fmt: skip
    """The rows of the jobs in their order, new ones kept in `store` as soon as they are there, and what failed."""
    keys = [job.key for job in jobs]
    rows = {row.key: row for row in store.rows}
    todo = [job for job, key in zip(jobs, keys, strict=True) if key not in rows]
    failures: list[Failure] = []
    for done, (place, outcome) in enumerate(run(todo, measure_job, workers), 1):
        if isinstance(outcome, Exception):
            job = todo[place]
            what = f"{job.target:g} bpp" if job.target else setting_text(subject(job.context, job.codec), job.setting)
            failures.append(Failure(job.codec, what, job.source, reason(outcome)))
        else:
            store.add(outcome)
            rows[outcome.key] = outcome
        if progress:
            progress(len(jobs) - len(todo) + done, len(jobs))
    return [rows[key] for key in keys if key in rows], failures


# -- one measurement ---------------------------------------------------------------------------------------------------


def measure_job(job: ExtremeJob) -> ExtremeRow:
    """Encode at the job's setting, or at the one nearest to its target; decode and compare."""
    codec: PicturePeer = subject(job.context, job.codec)
    pictures = sources(job)
    setting, least = nearest(codec, pictures, job) if job.target else (job.setting, None)
    files = [codec.encode(pixels, setting) for pixels in pictures]
    pairs = [(pixels, codec.decode(data)) for pixels, data in zip(pictures, files, strict=True)]
    size, area = sum(map(len, files)), sum(pixels[..., 0].size for pixels in pictures)
    distance, accuracy = _judged(job, pairs)
    return ExtremeRow(
        codec=codec.name,
        version=version_text(codec),
        setting=setting_text(codec, setting),
        kind=job.kind,
        source=job.source,
        sha256=job.digest,
        judge=job.judge,
        target=job.target,
        files=len(files),
        bytes=size,
        bpp=round(8 * size / area, 6),
        least_bpp=least,
        psnr=round(fmean(metrics.psnr(*pair) for pair in pairs), 5),
        msssim=mean_of_all((metrics.ms_ssim(*pair) for pair in pairs), 6),
        lpips=mean_of_all((metrics.lpips(*pair) for pair in pairs), 6),
        distance=round(distance, 6),
        accuracy=accuracy,
    )


def _judged(job: ExtremeJob, pairs: Sequence[tuple[Pixels, Pixels]]) -> tuple[float, float | None]:
    """Feature distance and accuracy."""
    model, side = _judge(job.model, job.labelled, job.images)
    first, second = (np.concatenate([features.tiles(pair[at], side) for pair in pairs]) for at in (0, 1))
    distance = float(features.distances(model, first, second).mean())
    if job.kind == PICTURES:
        return distance, None
    labels = _test(job.labelled, job.images).labels
    shown = labels if job.kind == SINGLES else labels[mosaics(job.labelled, job.images)[job.place]]
    return distance, perception.accuracy(model, perception.as_input(second), torch.from_numpy(shown))


@lru_cache(maxsize=2)
def _judge(file: Path, labelled: Path, images: int) -> tuple[torch.nn.Sequential, int]:
    """The classifier and the side of its pictures."""
    test = _test(labelled, images)
    return machine.load_classifier(file, test), test.pixels.shape[1]


@lru_cache(maxsize=2)
def _test(path: Path, size: int) -> perception.LabelledSet:
    return machine.first_of(perception.read_set(path, "test"), size)


@lru_cache(maxsize=2)
def mosaics(path: Path, size: int) -> list[NDArray[np.int64]]:
    """The test pictures of each mosaic: whole rows of a fixed shuffle, so that every mosaic holds many classes."""
    count = len(_test(path, size).labels)
    order = np.random.default_rng(0).permutation(count)[: count - count % COLUMNS]
    if not len(order):
        raise ParameterError(f"{path}: fewer than {COLUMNS} test pictures")
    return [order[start : start + COLUMNS * ROWS] for start in range(0, len(order), COLUMNS * ROWS)]


def sources(job: ExtremeJob) -> list[Pixels]:
    """What is coded, a file each."""
    if job.kind == PICTURES:
        return [_held(job.path, job.digest)]
    test = _test(job.labelled, job.images)
    if job.kind == SINGLES:
        return list(test.pixels)
    return [features.mosaic(test.pixels[mosaics(job.labelled, job.images)[job.place]], COLUMNS)]


@lru_cache(maxsize=2)
def _held(path: Path, digest: str) -> Pixels:
    """The picture, read once for all its measurements; `digest` tells what the file held then."""
    return read(path)


# -- the nearest size --------------------------------------------------------------------------------------------------


def nearest(codec: PicturePeer, pictures: Sequence[Pixels], job: ExtremeJob) -> tuple[float, float]:
    """The setting whose files come nearest to the job's target, and the bits per pixel of the smallest files."""
    shown = pictures[::SAMPLE] if job.kind == SINGLES else pictures
    area = sum(pixels[..., 0].size for pixels in shown)
    settings = choices(codec, job.least)
    places = {setting: place for place, setting in enumerate(settings)}
    known = {places[round(setting, 6)]: size for setting, size in job.known if round(setting, 6) in places}

    def size_of(place: int) -> int:
        return sum(len(codec.encode(pixels, settings[place])) for pixels in shown)

    sizes = search(size_of, len(settings), job.target * area / 8, known)
    best = min(sizes, key=lambda place: abs(math.log(8 * sizes[place] / (job.target * area))))
    return settings[best], round(8 * sizes[0] / area, 6)


def choices(codec: PicturePeer, first: float) -> list[float]:
    """All settings that a codec takes, from `first`, which makes the smallest files, to the largest files."""
    if codec.step == 0:
        return list(codec.settings)
    end = max(codec.limits, key=lambda limit: abs(limit - first))
    count = math.floor(abs(end - first) / codec.step + 1e-6)
    return [round(first + math.copysign(codec.step, end - first) * place, 6) for place in range(count + 1)]


def search(size_of: Callable[[int], int], count: int, target: float, known: dict[int, int]) -> dict[int, int]:
    """Sizes at those of the places 0..count-1 that were tried in search of `target`, that of place 0 among them.

    Sizes should grow with the place.  Interpolation of log size and halving take turns, since sizes may grow in steps.
    """
    sizes = dict(known)
    if 0 not in sizes:
        sizes[0] = size_of(0)
    for turn in range(TRIALS):
        low = max((place for place, size in sizes.items() if size <= target), default=count)
        high = min((place for place, size in sizes.items() if size > target and place > low), default=count)
        if high - low <= 1 or min(abs(size / target - 1) for size in sizes.values()) < CLOSE:
            break
        share = 0.5
        if turn % 2 == 0 and high < count:
            share = math.log(target / sizes[low]) / math.log(sizes[high] / sizes[low])
        place = min(max(low + round(share * (high - low)), low + 1), high - 1)
        sizes[place] = size_of(place)
    return sizes
