"""Scenes for the slider: each codec's picture at the size nearest to a given one, found by a few trial encodings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tessera.codec.media.types import Pixels
from tessera.tools.measuring import metrics
from tessera.tools.measuring.job import JobContext, reason, setting_text, subject
from tessera.tools.measuring.rows import Row
from tessera.tools.measuring.settings import Workers
from tessera.tools.measuring.workers import run
from tessera.tools.peers.peer import Peer
from tessera.tools.report import slider

CLOSE = 0.01  # the search for a size stops at this relative difference
TRIALS = {"images": 4, "video": 2}  # most encodings in search of a size; clips take long


@dataclass(frozen=True)
class Wanted:
    """A shot to make: `codec` on `path` at about `target` bytes; `known` are (setting, bytes) measured before."""

    context: JobContext
    codec: str
    path: Path
    target: int
    known: tuple[tuple[float, int], ...]


def make(context: JobContext, codecs: Sequence[str], rows: Sequence[Row], paths: Sequence[Path], rates: Sequence[float],
         workers: Workers) -> tuple[list[slider.Scene], list[str]]:  # fmt: skip
    """One scene for each path and rate (bpp), and a line for each codec that is absent from one.

    The first codec is shown at its measured setting nearest to the rate, the others at the size nearest to its file.
    """
    wanted: list[Wanted] = []
    places: list[tuple[Path, str]] = []
    for path in paths:
        found = {codec: _points(rows, codec, path.name) for codec in codecs}
        shown = [codec for codec in codecs if found[codec]]
        pixels = [row.bytes * 8 / row.bpp for row in rows if row.source == path.name]
        if not shown or not pixels:
            continue
        for rate in rates:
            lead = min(found[shown[0]], key=lambda point: abs(math.log(point[1] * 8 / pixels[0] / rate)))
            label = f"{lead[1] * 8 / pixels[0]:.2f} bpp, {lead[1]:,} bytes"
            wanted += [Wanted(context, codec, path, lead[1], found[codec]) for codec in shown]
            places += [(path, label)] * len(shown)
    shots = dict(run(wanted, take, workers))
    groups: dict[tuple[Path, str], list[slider.Shot]] = {}
    notes: list[str] = []
    for index, (path, label) in enumerate(places):
        if isinstance(shots[index], Exception):
            notes.append(f"Not in the slider: {wanted[index].codec} on {path.name}, {reason(shots[index])}")
        else:
            groups.setdefault((path, label), []).append(shots[index])
    return [_scene(context, path, label, group) for (path, label), group in groups.items()], notes


def _points(rows: Sequence[Row], codec: str, source: str) -> tuple[tuple[float, int], ...]:
    return tuple((row.value, row.bytes) for row in rows if row.codec == codec and row.source == source)


def _scene(context: JobContext, path: Path, label: str, shots: list[slider.Shot]) -> slider.Scene:
    original = picture(context, path)
    height, width = original.shape[:2]
    first = slider.shot("original", f"{width} x {height}", original)
    return slider.Scene(path.stem, label, width, height, slider.focus(original), [first, *shots])


def picture(context: JobContext, path: Path) -> Pixels:
    """What the slider shows of a source: the picture, or the clip's frame in the middle."""
    if context.kind == "images":
        from tessera.tools.measuring.pictures import read

        return read(path)
    from tessera.tools.measuring.video import still

    return still(path, middle(path))


def middle(path: Path) -> int:
    from tessera.codec.media import open_source

    with open_source(str(path)) as source:
        count = source.frame_count
        return (sum(1 for _ in source.frames()) if count is None else count) // 2


def take(wanted: Wanted) -> slider.Shot:
    """Encode at the size nearest to the target and return the picture with its figures."""
    codec: Peer[Any, Any] = subject(wanted.context, wanted.codec)
    original = picture(wanted.context, wanted.path)
    images = wanted.context.kind == "images"
    source = original if images else wanted.path
    setting, data = nearest(codec, source, wanted.target, wanted.known, TRIALS[wanted.context.kind])
    if images:
        decoded, frames = codec.decode(data), 1
    else:
        every = list(codec.decode(data))
        decoded, frames = every[middle(wanted.path)], len(every)
    bpp = 8 * len(data) / (original.shape[0] * original.shape[1] * frames)
    unit = "" if images else "this frame "
    figures = (
        f"{setting_text(codec, round(setting, 2))}: {len(data):,} bytes ({len(data) / wanted.target - 1:+.1%}), "
        f"{bpp:.3f} bpp, {unit}{metrics.psnr(original, decoded):.2f} dB"
    )
    return slider.shot(codec.name, figures, decoded)


def nearest(codec: Peer[Any, Any], source: Any, target: int, known: Sequence[tuple[float, int]], trials: int
            ) -> tuple[float, bytes]:  # fmt: skip
    """The setting, of those tried, whose file is nearest to `target` bytes, and that file."""
    sizes = dict(known)
    files: dict[float, bytes] = {}
    for _ in range(trials):
        setting = guess(sizes, target, codec.step, codec.limits)
        if setting in files:
            break
        files[setting] = codec.encode(source, setting)
        sizes[setting] = len(files[setting])
        if abs(sizes[setting] / target - 1) < CLOSE or codec.step == 0:
            break
    best = min(files, key=lambda setting: abs(math.log(len(files[setting]) / target)))
    return best, files[best]


def guess(sizes: dict[float, int], target: int, step: float, limits: tuple[float, float]) -> float:
    """The setting for `target` bytes on the line through two known ones, log size over setting, on both sides of it.

    Out of the known range the line is drawn on, up to the limits.  With step 0 it is the nearest known setting.
    """
    by_distance = sorted(sizes, key=lambda setting: abs(math.log(sizes[setting] / target)))
    if step == 0 or len(sizes) < 2:
        return by_distance[0]
    near = by_distance[0]
    other = next((s for s in by_distance if (sizes[s] < target) != (sizes[near] < target)), by_distance[1])
    rise = math.log(sizes[other] / sizes[near])
    part = 0.0 if rise == 0 else math.log(target / sizes[near]) / rise
    setting = min(max(near + part * (other - near), limits[0]), limits[1])
    return round(setting / step) * step
