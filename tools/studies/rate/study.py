"""From measured rows to a report: means, BD-rates, CSV files, plots and one HTML page."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tessera.codec.errors import ParameterError
from tessera.tools import options
from tessera.tools.measuring import bdrate, metrics
from tessera.tools.measuring.job import Failure
from tessera.tools.measuring.rows import Row
from tessera.tools.studies.rate.curves import (
    METRICS,
    Curve,
    Mean,
    Result,
    Study,
    comparable,
    curves,
    mean_cells,
    means,
    rate_cells,
)


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


def write(folder: Path, study: Study, scenes: Sequence[Any] = ()) -> Result:
    """Write the CSV files, the plots and index.html to `folder`; `scenes` are for the slider."""
    from tessera.tools.studies.rate import page

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


def write_failures(folder: Path, failures: Sequence[Failure]) -> None:
    """failures.csv, or none where nothing failed."""
    if failures:
        write_csv(folder / "failures.csv", Failure, failures)
    else:
        (folder / "failures.csv").unlink(missing_ok=True)


def write_csv(file: Path, kind: type, rows: Sequence[Any]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(item.name for item in dataclasses.fields(kind))
        for row in rows:
            writer.writerow(
                round(value, 6) if isinstance(value, float) else value for value in dataclasses.astuple(row)
            )


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


def print_failures(failures: Sequence[Failure]) -> None:
    for failure in failures:
        print(f"failed: {failure.codec} {failure.setting} on {failure.source}: {failure.reason}")
