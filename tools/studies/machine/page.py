"""The page, plots and tables of `tessera evaluate machine`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from tessera.tools.peers import families
from tessera.tools.report import parts, plots
from tessera.tools.studies.machine.rows import Correlation, MachineResult, MachineRow, MachineStudy

RATES = (0.25, 0.5, 1.0, 2.0)  # bpp of the table
_KINDS = {"accuracy": "", "retrained": ", retrained", "latents": ", latents"}  # field -> suffix of the curve's name
_METHOD = (
    "Rate: bytes of the whole file over the pixels. Accuracy: the share of test pictures whose class a small residual "
    "network finds that was trained on the clean training pictures and sees decoded ones. Retrained: of a network "
    "trained on pictures coded in the same way. Latents: of a network that is trained on and sees the numbers that "
    "tessera.open(file).latents() reads, no pixels being made. PSNR: mean of the pictures'. SSIM, MS-SSIM: "
    "pytorch-msssim on RGB, in dB -10 log10(1 - mean)."
)


def _curves(rows: Sequence[MachineRow], measure: str = "bpp") -> dict[str, list[tuple[float, float]]]:
    """Accuracy in percent over `measure`: a line a codec, and one for each other way in which a classifier learned."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for kind, suffix in _KINDS.items():
            if getattr(row, kind) is not None:
                points = lines.setdefault(row.codec + suffix, [])
                points.append((getattr(row, measure), 100 * getattr(row, kind)))
    return lines


def _draw(folder: Path, study: MachineStudy) -> list[tuple[Path, str]]:
    """Accuracy over rate and over PSNR, with the clean accuracy as a level: files and what they show."""
    names = {row.codec for row in study.rows}
    made: list[tuple[Path, str]] = []
    for measure, below in (("bpp", plots.RATE), ("psnr", "RGB PSNR (dB)")):
        lines = _curves([row for row in study.rows if math.isfinite(getattr(row, measure))], measure)
        if not lines:
            continue
        if measure == "psnr":
            lines = {name: points for name, points in lines.items() if name in names}
        places = [x for points in lines.values() for x, _ in points]
        lines["clean pixels"] = [(x, 100 * study.clean) for x in (min(places), max(places))]
        ours = [name for name in lines if families.known(name.split(",")[0])]
        dashed = [name for name in lines if name not in names]
        file = folder / ("accuracy.png" if measure == "bpp" else "accuracy_psnr.png")
        colours = plots.palette(list(lines), ours)
        plots.draw(file, "accuracy of the classifier (%)", lines, colours, ours, below=below, dashed=dashed)
        made.append((file, f"accuracy over {below}"))
    return made


# -- as HTML -----------------------------------------------------------------------------------------------------------

_ROW_HEAD = ("codec", "setting", "bpp", "PSNR", "SSIM dB", "MS-SSIM dB", "LPIPS", "accuracy", "retrained", "latents")
_RANK_HEAD = ("codecs", "points", "bpp", "PSNR", "SSIM", "MS-SSIM", "LPIPS")


def all_rows(rows: Sequence[MachineRow]) -> tuple[list[str], list[list[str]]]:
    """One line for each codec and setting."""
    return parts.without_empty_columns(_ROW_HEAD, map(_row_cells, rows))


def ranks(correlations: Sequence[Correlation]) -> tuple[list[str], list[list[str]]]:
    """One line for all codecs together, then one for each."""
    return parts.without_empty_columns(_RANK_HEAD, map(_rank_cells, correlations))


def write(folder: Path, study: MachineStudy, result: MachineResult) -> None:
    """accuracy.png, accuracy_psnr.png and index.html."""
    page = _page(study, result, _draw(folder, study))
    (folder / "index.html").write_text(page, encoding="utf-8")


def _page(study: MachineStudy, result: MachineResult, drawn: Sequence[tuple[Path, str]]) -> str:
    title = f"What a classifier sees in {study.pictures:,} coded pictures"
    lead = (
        f"Set: {study.name}. Accuracy on clean pixels: {study.clean:.1%}; of guessing: {study.chance:.1%}. "
        f"Classifiers learn for {study.rows[0].epochs} epochs. Codecs: {', '.join(peer.name for peer in study.peers)}."
    )
    links = [("plots", "Curves"), ("rates", "At equal rate"), ("ranks", "Rank correlation"), ("how", "Commands")]
    body = [
        parts.head(title, lead, links, study.notes),
        "<h2 id=plots>Accuracy over rate and over PSNR</h2><div class=plots>",
        *(parts.image(file, text) for file, text in drawn),
        "</div><h2 id=rates>Accuracy at equal rate</h2>",
        "<p class=note>Between the two nearest measured rates, linear in the logarithm of the rate.</p>",
        parts.table(("bits per pixel", *(f"{rate:g}" for rate in RATES)), _at_rates(study.rows)),
        "<h2 id=ranks>Rank correlation of accuracy</h2>",
        "<p class=note>Spearman's, of the accuracy of the classifier trained on clean pixels with each measure: 1 where"
        " a better figure always means a better accuracy (-1 for LPIPS, where lower is closer).</p>",
        parts.table(*ranks(result.correlations)),
        f"<h2 id=how>Commands and versions</h2>{parts.commands(study.command, study.peers, (), _METHOD)}",
        parts.folded("All rows", parts.table(*all_rows(study.rows))),
        parts.failed(study.failures),
    ]
    return parts.document(title, "".join(body))


def _at_rates(rows: Sequence[MachineRow]) -> list[tuple[str, ...]]:
    lines = _curves(rows).items()
    return [(name, *(_percent(at_rate(points, rate), 100) for rate in RATES)) for name, points in lines]


def at_rate(points: Sequence[tuple[float, float]], rate: float) -> float | None:
    """The value at `rate` of a curve of (rate, value), linear in log rate; None outside its rates."""
    ordered = sorted(points)
    for (low, first), (high, second) in zip(ordered, ordered[1:], strict=False):
        if low <= rate <= high and low < high:
            return first + (second - first) * math.log(rate / low) / math.log(high / low)
    return None


def _percent(value: float | None, whole: float = 1.0) -> str:
    return "" if value is None else f"{value / whole:.1%}"


def _row_cells(row: MachineRow) -> tuple[str, ...]:
    quality = (f"{row.psnr:.2f}", f"{row.ssim_db:.2f}", parts.number(row.msssim_db, 2), parts.number(row.lpips, 4))
    return (row.codec, row.setting, f"{row.bpp:.3f}", *quality, *(_percent(getattr(row, kind)) for kind in _KINDS))


def _rank_cells(entry: Correlation) -> tuple[str, ...]:
    values = (entry.bpp, entry.psnr, entry.ssim_db, entry.msssim_db, entry.lpips)
    return (entry.codecs, str(entry.points), *(parts.number(value, 3) for value in values))
