"""Measures the indices of family `vqgan`: which words pictures use, what the prior saves, and how good pictures are
whose indices were lost and filled in again.

    prior          the family's own: `VqganFamily.conceal`
    most frequent  the stage's most frequent index among those of the picture that are known
    nearest        the nearest known cell's index, the first in raster order of equally near ones
    none           nothing was lost
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tessera
from tessera.codec.coding.ports import DecoderPort
from tessera.codec.media.types import Pixels
from tessera.codec.options import Progress
from tessera.models.base.discrete import Mask
from tessera.models.base.family import GroupSpec
from tessera.models.base.quality import shown
from tessera.models.vqgan.family import VqganFamily
from tessera.models.vqgan.index_prior import Nodes
from tessera.models.vqgan.stages import DEAD, DEPTH, STAGES, depths, full_quality
from tessera.models.vqgan.walk import Reading, walk_frame
from tessera.tools.measuring import metrics
from tessera.tools.measuring.job import Failure, Job, JobContext, digest_of, reason, setting_text, subject, version_text
from tessera.tools.measuring.pictures import read
from tessera.tools.measuring.rows import AnyRow, RowFile, rewrite
from tessera.tools.measuring.settings import Workers
from tessera.tools.measuring.workers import run
from tessera.tools.studies.extreme.rows import RestorationRow, UsageRow

CODEC = "vqgan"
LOST = (0.05, 0.1, 0.2, 0.4)  # shares of the indices that are lost
PRIOR, FREQUENT, NEAREST, NONE = "prior", "most frequent", "nearest", "none"

Fill = Callable[[Nodes, Mask], Nodes]  # nodes (h, w), lost (h, w) bool -> nodes


@dataclass(frozen=True)
class CodedPicture:
    """The file of a picture, opened.  nodes, bits: of each stage (h, w)."""

    family: VqganFamily
    spec: GroupSpec
    size: int
    symbols: bytes
    nodes: list[Nodes]
    bits: list[NDArray[np.float32]]


def coded(pixels: Pixels, quality: float, **options: object) -> CodedPicture:
    """Encode a picture and read its indices back from the file."""
    data = tessera.encode(pixels, codec=CODEC, quality=quality, **options)  # type: ignore[arg-type]
    with tessera.open(data) as clip:
        group, head, family = clip.reader.group(0), clip.reader.header, clip.family
    assert isinstance(family, VqganFamily)
    spec = GroupSpec(1, head.height, head.width, head.channels, group.head.quality)
    reading = Reading(DecoderPort(family.tables, group.symbols), family.tables, spec)
    nodes = walk_frame(family.priors, spec, None, reading)
    return CodedPicture(family, spec, len(data), bytes(group.symbols), nodes, reading.bits)


# -- lost indices ------------------------------------------------------------------------------------------------------


def erasures(nodes: Sequence[Nodes], share: float, seed: int) -> list[Mask]:
    """A share of the cells of every stage, drawn stage by stage; more of them hold those of a smaller share."""
    generator = np.random.default_rng(seed)
    masks = []
    for at in nodes:
        lost = np.zeros(at.size, np.bool_)
        lost[generator.permutation(at.size)[: round(share * at.size)]] = True
        masks.append(lost.reshape(at.shape) & (at > 0))
    return masks


def most_frequent(nodes: Nodes, lost: Mask) -> Nodes:
    """See the top of the file."""
    return np.where(lost, np.bincount(nodes[~lost]).argmax(), nodes)


def nearest_known(nodes: Nodes, lost: Mask) -> Nodes:
    """See the top of the file."""
    places, known = np.argwhere(lost), np.argwhere(~lost)
    filled = nodes.copy()
    for first in range(0, len(places), 512):
        part = places[first : first + 512]
        far = np.square(part[:, None] - known).sum(2)  # integers, so that ties are ties
        chosen = known[far.argmin(1)]
        filled[part[:, 0], part[:, 1]] = nodes[chosen[:, 0], chosen[:, 1]]
    return filled


FILLS: dict[str, Fill] = {FREQUENT: most_frequent, NEAREST: nearest_known}


def restored(file: CodedPicture, lost: list[Mask], method: str) -> Pixels:
    """The picture uint8 (H, W, 3) without the lost indices (h, w) of every stage.  Some of each must be left."""
    family, spec = file.family, file.spec
    if method == PRIOR:
        concealed = family.conceal(spec, DecoderPort(family.tables, file.symbols), [gone[None] for gone in lost])
        return concealed[0]  # type: ignore[no-any-return]
    pairs = zip(file.nodes, lost, strict=True)
    filled = [FILLS[method](at, gone) if gone.any() else at for at, gone in pairs]
    shown: Pixels = family.painting.paint(family.painting.sums(filled), spec)
    return shown


def measure_restoration(job: Job) -> list[RestorationRow]:
    """All shares and methods of one picture."""
    pixels, version = read(job.path), version_text(subject(job.context, job.codec))
    file = coded(pixels, job.setting)
    bpp = round(8 * file.size / pixels[..., 0].size, 6)

    def row(share: float, method: str, shown: Pixels) -> RestorationRow:
        msssim = metrics.ms_ssim(pixels, shown)
        return RestorationRow(
            CODEC, version, _setting(job), job.path.name, job.digest, share, method, bpp,
            round(metrics.psnr(pixels, shown), 5), None if msssim is None else round(msssim, 6),
        )  # fmt: skip

    rows = [row(0.0, NONE, tessera.decode(tessera.encode(pixels, codec=CODEC, quality=job.setting)))]
    for share in LOST:
        lost = erasures(file.nodes, share, int(job.digest[:8], 16))
        rows += [row(share, method, restored(file, lost, method)) for method in (PRIOR, FREQUENT, NEAREST)]
    return rows


# -- words and bits ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UsageJob(Job):
    """All pictures at the quality where stage `full` is full; `path` and `digest` are those of the first."""

    full: int
    paths: tuple[Path, ...]
    pictures: str


def measure_usage(job: UsageJob) -> list[UsageRow]:
    """A row for each stage that is present."""
    pictures = [read(path) for path in job.paths]
    files = [coded(pixels, job.setting) for pixels in pictures]
    near = [coded(pixels, job.setting, rate_weight=0) for pixels in pictures]
    version = version_text(subject(job.context, job.codec))
    rows = []
    for stage in range(job.full + 1):
        depth = depths(files[0].spec.quality)[stage]
        counts, counts_near = (_counts([file.nodes[stage] for file in some]) for some in (files, near))
        cells = int(counts.sum())
        use = files[0].family.arrays[f"codebooks.{stage}.use"]
        rows.append(
            UsageRow(
                CODEC, version, _setting(job), job.pictures, job.full, stage, cells, depth,
                raw_bits=float(cells * depth),
                bits=round(sum(float(file.bits[stage].sum(dtype=np.float64)) for file in files), 1),
                payload=sum(len(file.symbols) for file in files),
                files=sum(file.size for file in files),
                used=round(float((counts > 0).mean()), 6),
                perplexity=round(_perplexity(counts), 3),
                used_near=round(float((counts_near > 0).mean()), 6),
                running=round(float((use >= DEAD * use.mean()).mean()), 6),
            )
        )  # fmt: skip
    return rows


def _counts(nodes: Sequence[Nodes]) -> NDArray[np.int64]:
    """How often each word of the full depth is used: (2**DEPTH,)."""
    return np.bincount(np.concatenate([at.ravel() for at in nodes]) - (1 << DEPTH), minlength=1 << DEPTH)


def _perplexity(counts: NDArray[np.int64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(np.exp2(-(shares * np.log2(shares)).sum()))


# -- everything --------------------------------------------------------------------------------------------------------


def measure(
    context: JobContext,
    paths: Sequence[Path],
    quality: float,
    folder: Path,
    *,
    workers: Workers = 1,
    progress: Progress | None = None,
) -> tuple[list[RestorationRow], list[UsageRow], list[Failure]]:
    """Lost indices at one quality, and the use of words; restoration.csv and usage.csv in `folder` keep the rows."""
    digests = [digest_of(path) for path in paths]
    every = hashlib.sha256("".join(digests).encode()).hexdigest()[:12]
    lossy = [Job(context, CODEC, quality, path, digest) for path, digest in zip(paths, digests, strict=True)]
    full = [
        UsageJob(context, CODEC, shown(full_quality(stage)), paths[0], digests[0], stage, tuple(paths), every)
        for stage in range(len(STAGES))
    ]
    version = version_text(subject(context, CODEC))

    def of_picture(job: Job) -> list[tuple[object, ...]]:
        pairs = [(0.0, NONE), *((share, method) for share in LOST for method in (PRIOR, FREQUENT, NEAREST))]
        return [(CODEC, version, _setting(job), job.path.name, job.digest, *pair) for pair in pairs]

    def of_stages(job: UsageJob) -> list[tuple[object, ...]]:
        return [(CODEC, version, _setting(job), every, job.full, stage) for stage in range(job.full + 1)]

    file = folder / "restoration.csv"
    lost, failures = _rows(file, RestorationRow, lossy, of_picture, measure_restoration, workers, progress)
    file = folder / "usage.csv"
    used, failed = _rows(file, UsageRow, full, of_stages, measure_usage, workers, progress)
    return lost, used, [*failures, *failed]


def _setting(job: Job) -> str:
    return setting_text(subject(job.context, job.codec), job.setting)


def _rows(
    file: Path,
    kind: type[AnyRow],
    jobs: Sequence[Any],
    keys_of: Callable[[Any], list[tuple[object, ...]]],
    work: Callable[[Any], list[AnyRow]],
    workers: Workers,
    progress: Progress | None,
) -> tuple[list[AnyRow], list[Failure]]:
    """The rows of every job, by their keys: those that the file holds, and those that are measured now and kept."""
    failures: list[Failure] = []
    with RowFile(file, kind) as store:
        rows = {row.key: row for row in store.rows}
        todo = [job for job in jobs if any(key not in rows for key in keys_of(job))]
        for done, (place, outcome) in enumerate(run(todo, work, workers), 1):
            if isinstance(outcome, Exception):
                failures.append(Failure(CODEC, _setting(todo[place]), todo[place].path.name, reason(outcome)))
            else:
                for row in outcome:
                    store.add(row)
                    rows[row.key] = row
            if progress:
                progress(len(jobs) - len(todo) + done, len(jobs))
    rewrite(file, store.rows, kind)
    return [rows[key] for job in jobs for key in keys_of(job) if key in rows], failures
