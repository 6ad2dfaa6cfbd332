"""The report as one self-contained HTML page: BD-rates, plots, the slider, means, and the exact commands."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from tessera.tools.measuring.bdrate import PUBLISHED, BdRate
from tessera.tools.report import parts, slider
from tessera.tools.report.plots import draw, palette
from tessera.tools.studies.rate.rows import METRICS, Curve, Result, Study, mean_cells

_COMMON = (
    "Rate: bytes of the whole file. PSNR: 10 log10(255&sup2; / MSE) over RGB of 8 bits, on the decoded file. YUV 6:1:1:"
    " (6 Y + U + V) / 8 of the planes' PSNRs, original and decoded picture taken to 8-bit 4:2:0 by the same conversion."
    " MS-SSIM: pytorch-msssim on RGB, in dB -10 log10(1 - mean). Times: CPU seconds of one run, all threads, median."
)
_METHOD = {
    "images": f"{_COMMON} Figures are means over the pictures.",
    "video": f"{_COMMON} Figures are means over frames, then over clips. Clips go in as the YUV they are stored in and "
    "come out through the same conversion to RGB as the source. Files are Matroska, or .tsr.",
}
_WHAT = {"images": "pictures", "video": "clips"}
_MEAN_HEAD = ("codec", "setting", "bpp", "PSNR", "YUV 6:1:1", "MS-SSIM dB", "encode s", "decode s")


def render(study: Study, result: Result, plots: Sequence[Path], scenes: Sequence[slider.Scene]) -> str:
    """The whole page."""
    count = result.means[0].sources if result.means else 0
    title = f"Rate and quality on {count} {_WHAT[study.kind]}"
    links = [("bdrate", "BD-rate"), ("plots", "Curves"), ("compare", "Compare"), ("how", "Commands")]
    names = [peer.name for peer in study.peers] + [_shown(name) for name in study.published]
    shown = [link for link in links if link[0] != "compare" or scenes]
    published = [name for name in study.published if name.startswith(PUBLISHED)]
    body = [
        parts.head(title, f"Codecs: {', '.join(names)}.", shown, result.notes),
        f"<h2 id=bdrate>BD-rate</h2>{_bd_text(study)}",
        *_bd_tables(study, result.bdrates),
        "<h2 id=plots>Curves</h2><div class=plots>",
        *(parts.image(plot, f"{plot.stem} over rate") for plot in plots),
        "</div>",
        f"<h2 id=compare>Compare at equal size</h2>{slider.section(scenes)}" if scenes else "",
        "<h2 id=how>Commands and versions</h2>",
        parts.commands(study.command, study.peers, published, _METHOD[study.kind]),
        parts.folded("All means", parts.table(_MEAN_HEAD, map(mean_cells, result.means))),
        parts.failed(result.failures),
    ]
    return parts.document(title, "".join(body))


def _bd_text(study: Study) -> str:
    basis = (
        "of the mean curves over all pictures" if study.kind == "images" else "for each clip, then the mean over clips"
    )
    return (
        f"<p class=note>Change of bits at equal quality, {basis}: the row against the column; negative is fewer bits. "
        "Akima interpolation by the package bjontegaard; in small type PCHIP, the shared span of quality and its part "
        "of the union of both spans. "
        "Pairs that share less than a quarter of the narrower curve's span are refused.</p>"
    )


def _bd_tables(study: Study, rates: Sequence[BdRate]) -> list[str]:
    """One matrix a metric: codecs down, references across; those after the second metric are folded away."""
    tables: list[str] = []
    for metric, label in METRICS.items():
        cells = {(rate.codec, rate.reference): rate for rate in rates if rate.metric == metric}
        if not cells:
            continue
        references = [name for name in study.references if any(name == reference for _, reference in cells)]
        head = "".join(f"<th>{html.escape(_shown(name))}</th>" for name in references)
        rows = "".join(
            f"<tr><td>{html.escape(_shown(codec))}</td>" + "".join(_bd_cell(cells.get((codec, r))) for r in references)
            + "</tr>"
            for codec in dict.fromkeys(codec for codec, _ in cells)
        )  # fmt: skip
        table = f"<div class=scroll><table><tr><th>{html.escape(label)}</th>{head}</tr>{rows}</table></div>"
        tables.append(parts.folded(label, table) if len(tables) >= 2 else table)
    return tables


def _shown(name: str) -> str:
    """A codec's name with room to break the line."""
    return name.removeprefix(PUBLISHED) + " (published)" if name.startswith(PUBLISHED) else name.replace("@", " @")


def _bd_cell(rate: BdRate | None) -> str:
    if rate is None:
        return "<td class=same>&ndash;</td>"
    title = html.escape(f"{rate.low:.2f} to {rate.high:.2f} dB; overlap {rate.overlap:.0%}. {rate.note}")
    if rate.akima is None or rate.pchip is None:
        return f'<td class=same title="{title}">refused<small>{html.escape(rate.note)}</small></td>'
    kind = "good" if rate.akima < 0 else "bad"
    small = f"{rate.pchip:+.1f} &middot; {rate.low:.0f}&ndash;{rate.high:.0f} dB, {rate.overlap:.0%}"
    return f'<td class={kind} title="{title}">{rate.akima:+.1f}&thinsp;%<small>{small}</small></td>'


def draw_all(folder: Path, curves: Mapping[str, Curve], ours: Sequence[str]) -> list[Path]:
    """One plot a metric that some curve has; those of an earlier run without one are removed."""
    colours = palette(list(curves), ours)
    found: list[Path] = []
    for metric, label in METRICS.items():
        file = folder / f"{metric.removesuffix('_db')}.png"
        lines = {name: curve[metric] for name, curve in curves.items() if curve[metric]}
        if lines:
            draw(file, label, lines, colours, ours)
            found.append(file)
        else:
            file.unlink(missing_ok=True)
    return found
