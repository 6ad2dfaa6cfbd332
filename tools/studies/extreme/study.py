"""The study of the lowest rates from end to end: a few hundredths of a bit per pixel.

Written to the report's folder: `results.csv` (a row for each codec and source), `restoration.csv` and `usage.csv` (of
family `vqgan`), `summary.csv`, `report.json`, plots, the contact sheet `sheet.png` and `index.html`.  What the first
three hold already is not measured again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from tessera.codec.errors import CodecError, ParameterError
from tessera.models.base.quality import fine, shown
from tessera.tools import options
from tessera.tools.bench.subjects import alternate
from tessera.tools.measuring import metrics
from tessera.tools.measuring.job import Failure, subject
from tessera.tools.measuring.pictures import find_files, read
from tessera.tools.measuring.settings import DEFAULT_RUN, Run
from tessera.tools.peers import families
from tessera.tools.peers.peer import Peer, PicturePeer, parse
from tessera.tools.report import plots
from tessera.tools.report.tables import print_failures, write_csv, write_failures
from tessera.tools.studies.extreme import contact, page, restoration
from tessera.tools.studies.extreme.means import means, restoration_means
from tessera.tools.studies.extreme.measure import COLUMNS, context_of, ladder, measure
from tessera.tools.studies.extreme.rows import (
    KINDS,
    MOSAICS,
    PICTURES,
    SINGLES,
    ExtremeMean,
    ExtremeOutcome,
    ExtremeResult,
    ExtremeRow,
    RestorationRow,
    Sources,
    UsageRow,
)
from tessera.tools.studies.extreme.settings import ExtremeSettings

DECODED = ("vqgan", "spatiotemporal", "avif")  # whose decoding is timed
THREADS, RUNS = 2, 7
_PLOTS = {"msssim_db": "MS-SSIM (dB)", "distance": "feature distance", "accuracy": "accuracy of the classifier (%)"}


def evaluate(settings: ExtremeSettings, paths: Sequence[Path], out: Path, run: Run = DEFAULT_RUN) -> ExtremeResult:
    """Measure codecs at the sizes nearest to the targets, and write the report to `out`.

    Args:
        paths: pictures or folders of them, and one tar file of pictures train/CLASS/NAME and test/CLASS/NAME.
        out: folder of the report, made if there is none.

    Raises:
        ParameterError: a path or a codec that there is not.
        CodecError: nothing could be measured.
    """
    sources = _sources(paths)
    context = context_of(settings)
    peers = [
        dataclasses.replace(subject(context, name), settings=ladder(name, settings.qualities))
        for name in settings.codecs
    ]
    out.mkdir(parents=True, exist_ok=True)
    with options.progress_bar("measuring", quiet=run.quiet) as progress:
        running: dict[str, Any] = {"workers": run.workers, "progress": progress}
        outcome = measure(settings, sources, out, **running)
        lost, used, failed = _indices(settings, sources, outcome.rows, out, running)
    failures = [*outcome.failures, *failed]
    write_failures(out, failures)
    if not outcome.rows:
        raise CodecError(f"nothing could be measured: {failures[0].reason}")
    times = _times(settings, sources.pictures[0], outcome.rows)
    result = ExtremeResult(
        outcome.clean, means(outcome.rows), restoration_means(lost), used, sources.pictures[0].name, THREADS, times,
        failures, _notes(outcome),
    )  # fmt: skip
    _write(out, settings, sources, outcome, peers, result, run)
    return result


def _sources(paths: Sequence[Path]) -> Sources:
    found = find_files(paths)
    labelled = [path for path in found if path.suffix == ".tar"]
    pictures = [path for path in found if path.suffix != ".tar"]
    if len(labelled) != 1 or not pictures or len({path.name for path in pictures}) < len(pictures):
        raise ParameterError(
            "evaluate extreme takes pictures of different names, and a tar file of train/CLASS/NAME and test/CLASS/NAME"
        )
    return Sources(tuple(pictures), labelled[0])


def _indices(
    settings: ExtremeSettings,
    sources: Sources,
    rows: Sequence[ExtremeRow],
    folder: Path,
    running: dict[str, Any],
) -> tuple[list[RestorationRow], list[UsageRow], list[Failure]]:
    """Lost indices and the use of words, where family `vqgan` is among the codecs."""
    wanted = (PICTURES, restoration.CODEC, settings.targets[-1])
    at = [row for row in rows if (row.kind, row.codec, row.target) == wanted]
    if restoration.CODEC not in settings.codecs or not at:
        return [], [], []
    quality = shown(fine(median(row.value for row in at)))
    return restoration.measure(context_of(settings), sources.pictures, quality, folder, **running)


def _notes(outcome: ExtremeOutcome) -> list[str]:
    notes = [metrics.why_no_lpips()]
    if outcome.over:
        notes.append(f"{options.count(outcome.over, 'test picture')} in no mosaic: a row takes {COLUMNS}")
    if any(row.msssim is None for row in outcome.rows if row.kind != SINGLES):
        notes.append(f"MS-SSIM needs {metrics.MS_SSIM_SIDE} pixels per side: some sources have fewer")
    return [note for note in notes if note]


def _times(settings: ExtremeSettings, picture: Path, rows: Sequence[ExtremeRow]) -> dict[str, float]:
    """Milliseconds of decoding `picture` at the last target."""
    context = context_of(settings)
    work: dict[str, Callable[[], Any]] = {}
    for name in settings.codecs:
        row = _row(rows, name, picture, settings.targets[-1])
        if parse(name)[0] in DECODED and row is not None:
            codec: PicturePeer = subject(context, name)
            data = codec.encode(read(picture), row.value)
            work[name] = lambda codec=codec, data=data: codec.decode(data)  # type: ignore[misc]
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        return {name: round(1000 * seconds, 2) for name, seconds in alternate(work, RUNS).items()}
    finally:
        torch.set_num_threads(before)


def _row(rows: Sequence[ExtremeRow], codec: str, path: Path, target: float) -> ExtremeRow | None:
    wanted = (codec, PICTURES, path.name, target)
    return next((row for row in rows if (row.codec, row.kind, row.source, row.target) == wanted), None)


def _write(
    folder: Path,
    settings: ExtremeSettings,
    sources: Sources,
    outcome: ExtremeOutcome,
    peers: Sequence[Peer[Any, Any]],
    result: ExtremeResult,
    run: Run,
) -> None:
    """summary.csv, report.json, plots, the contact sheet and the page."""
    write_csv(folder / "summary.csv", ExtremeMean, result.means)
    text = json.dumps(dataclasses.asdict(result), indent=2)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    drawn = _draw(folder, result)
    sheet = folder / "sheet.png"
    names = [peer.name for peer in peers]
    columns = [names[0], *(name for name in names[1:] if parse(name)[0] == "avif")][:2]
    scenes = contact.scenes(context_of(settings), columns, sources.pictures, outcome.rows, settings.targets[0])
    contact.write(sheet, scenes)
    text = page.render(settings, sources, outcome, peers, result, drawn, sheet, run.described(settings))
    (folder / "index.html").write_text(text, encoding="utf-8")


def _draw(folder: Path, result: ExtremeResult) -> list[tuple[Path, str]]:
    """Over the rate, on the ladder: pictures, and accuracy on the mosaics."""
    made = []
    for metric, label in _PLOTS.items():
        kind, times = (MOSAICS, 100) if metric == "accuracy" else (PICTURES, 1)
        lines: dict[str, list[tuple[float, float]]] = {}
        for mean in result.means:
            value = getattr(mean, metric)
            if mean.kind == kind and not mean.target and value is not None:
                lines.setdefault(mean.codec, []).append((mean.bpp, times * value))
        file = folder / f"{metric.removesuffix('_db')}.png"
        file.unlink(missing_ok=True)
        if lines:
            ours = [name for name in lines if families.known(name)]
            plots.draw(file, f"{label}, {kind}", lines, plots.palette(list(lines), ours), ours)
            made.append((file, f"{label} over rate, {kind}"))
    return made


def print_tables(result: ExtremeResult) -> None:
    """Every table as text."""
    for kind in KINDS:
        for target in sorted({mean.target for mean in result.means if mean.target}):
            head, rows = page.mean_table(result, kind, target)
            if rows:
                print(f"{kind} at {target:g} bpp\n{options.text_table(head, rows, left=2)}\n")
    if result.usage:
        print(f"lost indices: {page.lost_rate(result)}")
        print(options.text_table(*page.lost_table(result), left=2))
        print("\n" + options.text_table(*page.usage_table(result), left=2))
    for name, value in result.decode_ms.items():
        print(f"decode {result.picture} on {result.threads} threads: {name} {value:.1f} ms")
    for note in result.notes:
        print(note)
    print_failures(result.failures)
