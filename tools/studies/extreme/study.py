"""`tessera evaluate extreme PICTURES... SET.tar`: codecs at a few hundredths of a bit a pixel.

Written to the report's folder: `results.csv` (a row a codec and source), `restoration.csv` and `usage.csv` (of family
`vqgan`), `summary.csv`, `report.json`, plots, the contact sheet `sheet.png` and `index.html`.  What the first three
hold already is not measured again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from tessera.codec.errors import CodecError, ParameterError
from tessera.tools import options
from tessera.tools.bench.subjects import alternate
from tessera.tools.measuring import metrics
from tessera.tools.measuring.job import Context, Failure, subject
from tessera.tools.measuring.pictures import find_files, read
from tessera.tools.peers import families
from tessera.tools.peers.peer import Peer, PicturePeer, parse
from tessera.tools.report import plots
from tessera.tools.studies.extreme import contact, restoration
from tessera.tools.studies.extreme import measure as extreme
from tessera.tools.studies.extreme import page as extreme_page
from tessera.tools.studies.extreme.means import ExtremeMean, ExtremeResult, means, restoration_means
from tessera.tools.studies.extreme.measure import MOSAICS, PICTURES, SINGLES, Asked, ExtremeRow, Outcome
from tessera.tools.studies.extreme.page import print_tables
from tessera.tools.studies.extreme.restoration import RestorationRow, UsageRow
from tessera.tools.studies.rate.study import write_csv, write_failures

CODECS = ("vqgan", "spatiotemporal", "wavelet", "jpeg", "webp", "avif", "jpegxl")
TARGETS = (0.04, 0.1)  # bpp; the contact sheet is of the first, lost indices are at the last
DECODED = ("vqgan", "spatiotemporal", "avif")  # whose decoding is timed
THREADS, RUNS = 2, 7
_PLOTS = {"msssim_db": "MS-SSIM (dB)", "distance": "feature distance", "accuracy": "accuracy of the classifier (%)"}


def evaluate(args: argparse.Namespace) -> ExtremeResult:
    """Measure what the command line asks for and write the report."""
    found = find_files(args.paths)
    labelled = [path for path in found if path.suffix == ".tar"]
    pictures = [path for path in found if path.suffix != ".tar"]
    if len(labelled) != 1 or not pictures or len({path.name for path in pictures}) < len(pictures):
        raise ParameterError(
            "evaluate extreme takes pictures of different names, and a tar file of train/CLASS/NAME and test/CLASS/NAME"
        )
    codecs, targets = args.codecs or list(CODECS), sorted(args.rates or TARGETS)
    qualities = tuple(sorted(args.qualities)) if args.qualities else None
    asked = Asked(tuple(pictures), labelled[0], tuple(targets), args.images, args.epochs, qualities)
    context = Context("images", (0, 100), args.device)
    peers = [replace(subject(context, name), settings=extreme.ladder(name, qualities)) for name in codecs]
    with options.progress_bar("measuring", quiet=args.json) as progress:
        told: dict[str, Any] = {"workers": args.jobs, "progress": progress}
        outcome = extreme.measure(context, codecs, asked, args.out, **told)
        lost, used, failed = _indices(context, codecs, asked, outcome.rows, args.out, told)
    failures = [*outcome.failures, *failed]
    write_failures(args.out, failures)
    if not outcome.rows:
        raise CodecError(f"nothing could be measured: {failures[0].reason}")
    times = _times(context, codecs, asked, outcome.rows)
    result = ExtremeResult(
        outcome.clean, means(outcome.rows), restoration_means(lost), used, pictures[0].name, THREADS, times, failures,
        _notes(asked, outcome),
    )  # fmt: skip
    _write(args.out, asked, outcome, context, peers, result)
    return result


def _indices(
    context: Context,
    codecs: Sequence[str],
    asked: Asked,
    rows: Sequence[ExtremeRow],
    folder: Path,
    told: dict[str, Any],
) -> tuple[list[RestorationRow], list[UsageRow], list[Failure]]:
    """Lost indices and the use of words, where family `vqgan` is among the codecs."""
    at = [row for row in rows if (row.kind, row.codec, row.target) == (PICTURES, restoration.CODEC, asked.targets[-1])]
    if restoration.CODEC not in codecs or not at:
        return [], [], []
    quality = round(64 * median(row.value for row in at)) / 64
    return restoration.measure(context, asked.pictures, quality, folder, **told)


def _notes(asked: Asked, outcome: Outcome) -> list[str]:
    notes = [metrics.why_no_lpips()]
    if outcome.over:
        notes.append(f"{options.count(outcome.over, 'test picture')} in no mosaic: a row takes {extreme.COLUMNS}")
    if any(row.msssim is None for row in outcome.rows if row.kind != SINGLES):
        notes.append(f"MS-SSIM needs {metrics.MS_SSIM_SIDE} pixels a side: some sources have fewer")
    return [note for note in notes if note]


def _times(context: Context, codecs: Sequence[str], asked: Asked, rows: Sequence[ExtremeRow]) -> dict[str, float]:
    """Milliseconds of decoding the first picture at the last target."""
    work: dict[str, Callable[[], Any]] = {}
    for name in codecs:
        row = _row(rows, name, asked.pictures[0], asked.targets[-1])
        if parse(name)[0] in DECODED and row is not None:
            codec: PicturePeer = subject(context, name)
            data = codec.encode(read(asked.pictures[0]), row.value)
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
    asked: Asked,
    outcome: Outcome,
    context: Context,
    peers: Sequence[Peer[Any, Any]],
    result: ExtremeResult,
) -> None:
    """summary.csv, report.json, plots, the contact sheet and the page."""
    write_csv(folder / "summary.csv", ExtremeMean, result.means)
    text = json.dumps(dataclasses.asdict(result), indent=2)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    drawn = _draw(folder, result)
    sheet = folder / "sheet.png"
    names = [peer.name for peer in peers]
    columns = [names[0], *(name for name in names[1:] if parse(name)[0] == "avif")][:2]
    contact.write(sheet, contact.scenes(context, columns, asked.pictures, outcome.rows, asked.targets[0]))
    (folder / "index.html").write_text(
        extreme_page.render(asked, outcome, peers, result, drawn, sheet), encoding="utf-8"
    )


def _draw(folder: Path, result: ExtremeResult) -> list[tuple[Path, str]]:
    """Over the rate, on the ladder: pictures, and accuracy on the mosaics."""
    made = []
    for measure, label in _PLOTS.items():
        kind, times = (MOSAICS, 100) if measure == "accuracy" else (PICTURES, 1)
        lines: dict[str, list[tuple[float, float]]] = {}
        for mean in result.means:
            value = getattr(mean, measure)
            if mean.kind == kind and not mean.target and value is not None:
                lines.setdefault(mean.codec, []).append((mean.bpp, times * value))
        file = folder / f"{measure.removesuffix('_db')}.png"
        file.unlink(missing_ok=True)
        if lines:
            ours = [name for name in lines if families.known(name)]
            plots.draw(file, f"{label}, {kind}", lines, plots.palette(list(lines), ours), ours)
            made.append((file, f"{label} over rate, {kind}"))
    return made


__all__ = ["evaluate", "print_tables"]
