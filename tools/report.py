"""From measured rows to a report: means, BD-rates, plots and one HTML page."""

from __future__ import annotations

import csv
import dataclasses
import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from tessera.codec.errors import FormatError, ParameterError
from tessera.tools import bdrate, metrics, options
from tessera.tools.evaluate_images import Row
from tessera.tools.peers import Peer

METRICS = {"psnr": "RGB PSNR (dB)", "msssim_db": "MS-SSIM (dB)"}
_COLUMNS = (("psnr", "psnr_rgb"), ("msssim_db", "msssim_db"), ("msssim_db", "msssim_db_of_mean"))  # of curves read in


@dataclass(frozen=True)
class Mean:
    """Means over the pictures at one setting; `msssim_db` is the mean MS-SSIM in dB, None if any picture lacks it."""

    codec: str
    setting: str
    images: int
    bpp: float
    psnr: float
    msssim: float | None
    msssim_db: float | None
    encode_s: float
    decode_s: float


Curve = dict[str, list[bdrate.Point]]  # metric -> points


@dataclass(frozen=True)
class Result:
    """What a report holds."""

    means: list[Mean]
    bdrates: list[bdrate.BdRate]


def means(rows: Iterable[Row]) -> list[Mean]:
    """One `Mean` for each codec and setting, in the order of the rows; times are medians."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.codec, row.setting), []).append(row)
    return [_mean(codec, setting, group) for (codec, setting), group in groups.items()]


def _mean(codec: str, setting: str, rows: list[Row]) -> Mean:
    known = [row.msssim for row in rows if row.msssim is not None]
    msssim = fmean(known) if len(known) == len(rows) else None
    return Mean(
        codec=codec,
        setting=setting,
        images=len(rows),
        bpp=fmean(row.bpp for row in rows),
        psnr=fmean(row.psnr for row in rows),
        msssim=msssim,
        msssim_db=None if msssim is None else metrics.ms_ssim_db(msssim),
        encode_s=median(row.encode_s for row in rows),
        decode_s=median(row.decode_s for row in rows),
    )


def curves(table: Iterable[Mean]) -> dict[str, Curve]:
    """Codec -> its curve in every metric; infinite and missing values are left out."""
    found: dict[str, Curve] = {}
    for mean in table:
        curve = found.setdefault(mean.codec, {metric: [] for metric in METRICS})
        for metric in METRICS:
            value = getattr(mean, metric)
            if value is not None and math.isfinite(value):
                curve[metric].append((mean.bpp, value))
    return found


def read_curves(files: Sequence[Path], names: Sequence[str]) -> dict[str, Curve]:
    """The curves called `names` in CSV files with the columns codec, bpp, psnr_rgb and perhaps msssim_db."""
    found: dict[str, Curve] = {}
    for file in files:
        with file.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            if not {"codec", "bpp", "psnr_rgb"} <= set(reader.fieldnames or ()):
                raise FormatError(f"{file}: no columns codec, bpp, psnr_rgb")
            for row in reader:
                if row["codec"] not in names:
                    continue
                curve = found.setdefault(row["codec"], {metric: [] for metric in METRICS})
                for metric, column in _COLUMNS:
                    if row.get(column):
                        curve[metric].append((float(row["bpp"]), float(row[column])))
    return found


def check_references(references: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in references if name not in known]
    if unknown:
        raise ParameterError(f"no curve {', '.join(unknown)}; there are {', '.join(known)}")


def write(folder: Path, codecs: Sequence[Peer], rows: Sequence[Row], references: Sequence[str],
          extra: dict[str, Curve]) -> Result:  # fmt: skip
    """Write summary.csv, bdrate.csv, the plots and index.html to `folder`."""
    table = means(rows)
    drawn = {**curves(table), **extra}
    rates = [
        bdrate.compare(codec.name, drawn[codec.name][metric], reference, drawn[reference][metric], metric)
        for metric in METRICS
        for codec in codecs
        for reference in references
        if reference != codec.name and drawn[reference][metric] and drawn[codec.name][metric]
    ]
    result = Result(table, rates)
    _write_csv(folder / "summary.csv", Mean, table)
    _write_csv(folder / "bdrate.csv", bdrate.BdRate, rates)
    plots = [
        _plot(
            folder / f"{metric.removesuffix('_db')}.png", label, {name: curve[metric] for name, curve in drawn.items()}
        )
        for metric, label in METRICS.items()
        if any(curve[metric] for curve in drawn.values())
    ]
    (folder / "index.html").write_text(_page(codecs, rows, result, plots), encoding="utf-8")
    return result


def _write_csv(file: Path, kind: type, rows: Sequence[Mean | bdrate.BdRate]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(field.name for field in dataclasses.fields(kind))
        for row in rows:
            writer.writerow(
                round(value, 6) if isinstance(value, float) else value for value in dataclasses.astuple(row)
            )


def _plot(file: Path, label: str, lines: dict[str, list[bdrate.Point]]) -> Path:
    """Curves of quality over rate, as a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5.5), layout="constrained")
    for index, (name, points) in enumerate(lines.items()):
        if points:
            rates, values = zip(*sorted(points), strict=True)
            axes.plot(rates, values, marker="os^Dv<>P"[index % 8], markersize=5, linewidth=1.6, label=name)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda rate, _: f"{rate:g}"))
    axes.set_xlabel("rate (bits per pixel of the file, log scale)")
    axes.set_ylabel(label)
    axes.grid(True, which="both", color="#e4e4e4", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
    return file


_MEAN_HEAD = ("codec", "setting", "bpp", "PSNR", "MS-SSIM dB", "enc s", "dec s")
_RATE_HEAD = ("codec", "reference", "metric", "Akima", "PCHIP", "over", "note")

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:64em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}th,td{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}img{max-width:100%}"""


def _page(codecs: Sequence[Peer], rows: Sequence[Row], result: Result, plots: Sequence[Path]) -> str:
    """The report as one HTML page beside its pictures."""
    count = len({row.image for row in rows})
    about = "".join(
        f"<li><b>{html.escape(codec.name)}</b>: {html.escape(codec.about)}; {html.escape(codec.version())}</li>"
        for codec in codecs
    )
    parts = [
        f"<p>{count} pictures. Rate: bytes of the whole file. PSNR: 10 log10(255² / MSE) over RGB, 8 bits, on the "
        "decoded file; the mean of the pictures' PSNRs. MS-SSIM: pytorch-msssim, dB of the mean. BD-rate: package "
        "bjontegaard on these mean curves, over the quality both cover; negative means fewer bits. "
        "Times: wall seconds, median, one run each.</p>",
        f"<ul>{about}</ul>",
        *(f'<img src="{plot.name}" alt="{plot.stem}">' for plot in plots),
        "<h2>BD-rate</h2>",
        _table(_RATE_HEAD, map(_rate_cells, result.bdrates)),
        "<h2>Means</h2>",
        _table(_MEAN_HEAD, map(_mean_cells, result.means)),
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>tessera evaluate</title>'
        f"<style>{_STYLE}</style><h1>tessera evaluate images</h1>{''.join(parts)}</html>\n"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line("th", head) + "".join(line("td", row) for row in rows) + "</table>"


def _rate_cells(rate: bdrate.BdRate) -> tuple[str, ...]:
    figures = ("" if value is None else f"{value:+.1f} %" for value in (rate.akima, rate.pchip))
    return (rate.codec, rate.reference, rate.metric, *figures, f"{rate.low:.1f}..{rate.high:.1f} dB", rate.note)


def _mean_cells(mean: Mean) -> tuple[str, ...]:
    db = "" if mean.msssim_db is None else f"{mean.msssim_db:.2f}"
    times = (f"{mean.encode_s:.3f}", f"{mean.decode_s:.3f}")
    return (mean.codec, mean.setting, f"{mean.bpp:.4f}", f"{mean.psnr:.2f}", db, *times)


def print_tables(result: Result) -> None:
    """The means and BD-rates as text."""
    print(options.text_table(_MEAN_HEAD, map(_mean_cells, result.means), left=2))
    if result.bdrates:
        print("\nBD-rate\n" + options.text_table(_RATE_HEAD, map(_rate_cells, result.bdrates), left=3))
