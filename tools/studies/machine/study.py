"""The study from end to end: classifiers, coded pictures, report.

Written to the report's folder: `machine.csv` (a row for each codec and setting), the classifier of clean pictures,
`correlations.csv`, `failures.csv` where something failed, plots and `index.html`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tessera.codec.errors import CodecError, ParameterError
from tessera.tools import options
from tessera.tools.measuring import metrics, perception
from tessera.tools.measuring.job import subject
from tessera.tools.measuring.settings import DEFAULT_RUN, Run
from tessera.tools.report.tables import print_failures, write_csv, write_failures
from tessera.tools.studies.machine import page
from tessera.tools.studies.machine.measure import context_of, measure
from tessera.tools.studies.machine.rows import Correlation, MachineResult, MachineStudy, correlations
from tessera.tools.studies.machine.settings import MachineSettings


def evaluate(settings: MachineSettings, paths: Sequence[Path], out: Path, run: Run = DEFAULT_RUN) -> MachineResult:
    """Measure the accuracy of classifiers on coded pictures, and write the report to `out`.

    Args:
        paths: one tar file of pictures train/CLASS/NAME and test/CLASS/NAME.
        out: folder of the report, made if there is none.

    Raises:
        ParameterError: there is no such file or codec.
        CodecError: nothing could be measured.
    """
    if len(paths) != 1 or not paths[0].is_file():
        raise ParameterError("evaluate machine takes one tar file of pictures train/CLASS/NAME and test/CLASS/NAME")
    context = context_of(settings)
    peers = [subject(context, name) for name in settings.codecs]
    test = perception.read_set(paths[0], "test")
    out.mkdir(parents=True, exist_ok=True)
    with options.progress_bar("measuring", quiet=run.quiet) as progress:
        clean, rows, failures = measure(settings, paths[0], out, workers=run.workers, progress=progress)
    notes = [note for note in (_small(test.pixels.shape[1]), metrics.why_no_lpips()) if note]
    count = min(settings.images or len(test.labels), len(test.labels))
    study = MachineStudy(
        run.described(settings), paths[0].name, count, 1 / len(test.classes), clean, peers, rows, failures, notes
    )
    return write(out, study)


def write(folder: Path, study: MachineStudy) -> MachineResult:
    """Write correlations.csv, the plots and index.html to `folder`.  CodecError where nothing could be measured."""
    write_failures(folder, study.failures)
    if not study.rows:
        raise CodecError(f"nothing could be measured: {study.failures[0].reason}")
    result = MachineResult(study.clean, list(study.rows), correlations(study.rows), list(study.failures))
    write_csv(folder / "correlations.csv", Correlation, result.correlations)
    page.write(folder, study, result)
    return result


def _small(side: int) -> str:
    if side >= metrics.MS_SSIM_SIDE:
        return ""
    return f"MS-SSIM needs {metrics.MS_SSIM_SIDE} pixels per side, the pictures have {side}: SSIM stands in for it"


def print_tables(result: MachineResult) -> None:
    """The rows and correlations as text."""
    print(f"clean pixels: {result.clean_accuracy:.1%}")
    print(options.text_table(*page.all_rows(result.rows), left=2))
    print("\nrank correlation of accuracy")
    print(options.text_table(*page.ranks(result.correlations)))
    print_failures(result.failures)
