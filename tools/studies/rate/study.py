"""The study of rate and quality from end to end: sources, measurements, BD-rates, report.

Written to the report's folder: `results.csv` (a row per source and setting), `summary.csv` (means over the sources),
`bdrate.csv`, `failures.csv` where something failed, a plot per metric, and `index.html`, which shows them all and
compares pictures with a slider.  Rows that are there already, of the same file and the same version of the codec, are
not measured again, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tessera.codec.errors import ParameterError
from tessera.tools import options
from tessera.tools.measuring import bdrate, metrics, pictures, video
from tessera.tools.measuring.bdrate import PUBLISHED
from tessera.tools.measuring.job import JobContext, subject
from tessera.tools.measuring.rows import Row
from tessera.tools.measuring.settings import DEFAULT_RUN, Run, Workers
from tessera.tools.report.slider import Scene
from tessera.tools.report.tables import print_failures, write_csv, write_failures
from tessera.tools.studies.rate import page
from tessera.tools.studies.rate import scenes as sliders
from tessera.tools.studies.rate.curves import curves, published, read_curves
from tessera.tools.studies.rate.measure import measure
from tessera.tools.studies.rate.rows import (
    METRICS,
    Curve,
    Mean,
    Result,
    Study,
    comparable,
    mean_cells,
    means,
    rate_cells,
)
from tessera.tools.studies.rate.settings import ImagesSettings, RateSettings, VideoSettings


def evaluate(settings: RateSettings, paths: Sequence[Path], out: Path, run: Run = DEFAULT_RUN) -> Result:
    """Measure `settings.codecs` on pictures or clips, and write the report to `out`.

    Args:
        settings: ImagesSettings or VideoSettings.
        paths: files, or folders of them.
        out: folder of the report, made if there is none.

    Raises:
        ParameterError: a path or a codec that there is not.
        CodecError: no source could be measured with every codec.
    """
    with _sources(settings, paths) as files:
        return _evaluate(settings, files, out, run)


def _evaluate(settings: RateSettings, files: list[Path], out: Path, run: Run) -> Result:
    context = context_of(settings)
    codecs = [name for name in settings.codecs if not name.startswith(PUBLISHED)]
    peers = [subject(context, name) for name in codecs]
    references = settings.references or settings.codecs
    extra = read_curves(settings.curves, references) | published([*settings.codecs, *references], files)
    check_references(references, [*codecs, *extra])
    out.mkdir(parents=True, exist_ok=True)
    with options.progress_bar("measuring", quiet=run.quiet) as progress:
        rows, failures = measure(context, codecs, files, out / "results.csv", workers=run.workers, progress=progress)
    scenes, absent = _scenes(settings, context, codecs, rows, files, run.workers)
    notes = [*_notes(settings), *absent]
    study = Study(context.kind, run.described(settings), peers, rows, failures, extra, references, notes)
    return write(out, study, scenes)


def context_of(settings: RateSettings) -> JobContext:
    """What all jobs have in common."""
    if isinstance(settings, VideoSettings):
        return JobContext("video", settings.qualities, settings.device, settings.msssim_every, settings.checkpoint)
    if isinstance(settings, ImagesSettings):
        return JobContext("images", settings.qualities, settings.device)
    raise ParameterError(f"{type(settings).__name__}: give ImagesSettings or VideoSettings")


@contextmanager
def _sources(settings: RateSettings, paths: Sequence[Path]) -> Iterator[list[Path]]:
    """The files to measure; those that are scaled down are copies that live as long as the measurement."""
    if not isinstance(settings, VideoSettings):
        yield pictures.find_files(paths)
        return
    clips = pictures.find_files(paths, video.SUFFIXES, "clip")
    if settings.resize is None:
        yield clips
        return
    with tempfile.TemporaryDirectory() as folder:
        yield [video.scaled(path, settings.resize, Path(folder)) for path in clips]


def _notes(settings: RateSettings) -> list[str]:
    """Lines that a reader must know beside the figures."""
    notes = [metrics.why_no_lpips()]
    if isinstance(settings, VideoSettings):
        every = settings.msssim_every
        if settings.resize:
            width, height = settings.resize
            notes.append(f"Clips are scaled down to {width}x{height} first; this is what all codecs are given")
        if every > 1:
            notes.append(f"MS-SSIM of a clip is the mean over frames 0, {every}, {2 * every}, ...")
    return [note for note in notes if note]


def _scenes(settings: RateSettings, context: JobContext, codecs: list[str], measured: list[Row], paths: list[Path],
            workers: Workers) -> tuple[list[Scene], list[str]]:  # fmt: skip
    """For the slider: `settings.pictures` sources, spread over those measured with every codec; and what is absent."""
    rows, left_out = comparable(measured)
    whole = [path for path in paths if path.name not in left_out]
    count = min(settings.pictures, len(whole))
    chosen = [whole[(2 * index + 1) * len(whole) // (2 * count)] for index in range(count)]
    if not chosen:
        return [], []
    return sliders.make(context, codecs, rows, chosen, settings.rates, workers)


def check_references(references: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in references if name not in known]
    if unknown:
        raise ParameterError(f"no curve {', '.join(unknown)}; there are {', '.join(known)}")


def bd_rates(study: Study, rows: Sequence[Row]) -> list[bdrate.BdRate]:
    """Every codec against every reference: of the mean curves of pictures, the mean of each clip's of clips."""
    if study.kind != "video":
        return _bd_rates(study, {**curves(rows), **study.published})
    by_source: dict[str, list[Row]] = {}
    for row in rows:
        by_source.setdefault(row.sha256, []).append(row)
    each = [_bd_rates(study, curves(group)) for group in by_source.values()]
    groups: dict[tuple[str, str, str], list[bdrate.BdRate]] = {}
    for rate in (rate for rates in each for rate in rates):
        groups.setdefault((rate.codec, rate.reference, rate.metric), []).append(rate)
    return [bdrate.mean(group) for group in groups.values()]


def _bd_rates(study: Study, drawn: Mapping[str, Curve]) -> list[bdrate.BdRate]:
    return [
        bdrate.compare(codec, drawn[codec][metric], reference, drawn[reference][metric], metric)
        for metric in METRICS
        for codec in drawn
        for reference in study.references
        if codec != reference and reference in drawn and drawn[reference][metric] and drawn[codec][metric]
    ]


def write(folder: Path, study: Study, scenes: Sequence[Scene] = ()) -> Result:
    """Write the CSV files, the plots and index.html to `folder`; `scenes` are for the slider."""
    rows, left_out = comparable(study.rows)
    notes = list(study.notes)
    if left_out:
        notes.append("Left out, because not every codec could be measured on them: " + ", ".join(left_out))
    small = sorted({row.source for row in rows if row.msssim is None})
    if small:
        notes.append(f"Without MS-SSIM, because a side is below {metrics.MS_SSIM_SIDE} pixels: " + ", ".join(small))
    result = Result(means(rows), bd_rates(study, rows), list(study.failures), notes)
    write_csv(folder / "summary.csv", Mean, result.means)
    write_csv(folder / "bdrate.csv", bdrate.BdRate, result.bdrates)
    write_failures(folder, study.failures)
    drawn = {**curves(rows), **study.published}
    ours = [peer.name for peer in study.peers if peer.version().startswith("tessera ")]
    images = page.draw_all(folder, drawn, ours)
    (folder / "index.html").write_text(page.render(study, result, images, scenes), encoding="utf-8")
    return result


# -- as text -----------------------------------------------------------------------------------------------------------

_MEAN_HEAD = ("codec", "setting", "bpp", "PSNR", "YUV 6:1:1", "MS-SSIM dB", "enc s", "dec s")
_RATE_HEAD = ("codec", "reference", "metric", "Akima", "PCHIP", "over", "overlap", "note")


def print_tables(result: Result) -> None:
    """The means as text, and the BD-rates of the first codec; bdrate.csv has the others."""
    print(options.text_table(_MEAN_HEAD, map(mean_cells, result.means), left=2))
    shown = [rate for rate in result.bdrates if rate.codec == result.means[0].codec]
    if shown:
        print("\nBD-rate\n" + options.text_table(_RATE_HEAD, map(rate_cells, shown), left=3))
    for note in result.notes:
        print(note)
    print_failures(result.failures)
