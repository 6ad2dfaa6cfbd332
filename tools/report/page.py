"""The report as one self-contained HTML page: BD-rates, plots, the slider, means, and the exact commands."""

from __future__ import annotations

import base64
import html
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tessera.tools.evaluation.bdrate import BdRate
from tessera.tools.report import slider
from tessera.tools.report.study import METRICS, PUBLISHED, Result, Study, mean_cells

_STYLE = """
.scroll{overflow-x:auto;margin:.6em 0 1em;border:1px solid #e3e3e6;border-radius:8px;background:#fff}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.92rem}
th,td{padding:.42em .65em;text-align:right;border-bottom:1px solid #efeff1;white-space:nowrap}
tr:last-child td{border-bottom:0}
th{font-weight:600;white-space:normal;color:#63636b;font-size:.82rem;background:#f5f5f7}
th:first-child,td:first-child{text-align:left;white-space:normal;min-width:6.4em;position:sticky;left:0;background:#fff}
th:first-child{background:#f5f5f7}
td small{display:block;color:#85858d;font-size:.74rem;line-height:1.2}td.good{color:#14713f}td.bad{color:#a02020}
td.same{color:#b5b5bb}td.left,th.left{text-align:left}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:1rem}
.plots img{width:100%;display:block;background:#fff;border:1px solid #e3e3e6;border-radius:8px}
.note{font-size:.88rem;color:#63636b}
code{font:.84rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
dl{margin:0}dt{font-weight:600;margin-top:.7em}dd{margin:0;font-size:.9rem}pre{white-space:pre-wrap;background:#f0f0f3;
border-radius:8px;padding:.7em .9em;margin:.4em 0;overflow-wrap:anywhere}
details summary{cursor:pointer;font-weight:600;margin:1em 0 .4em}
@media(max-width:40em){th,td{padding:.42em .55em}td:first-child{font-size:.84rem}}
nav{display:flex;flex-wrap:wrap;gap:.3em 1.2em;font-size:.92rem}nav a{color:#c8102e;text-decoration:none}
"""
_PACKAGES = ("torch", "numpy", "pillow", "av", "pytorch-msssim", "bjontegaard", "lpips")
_WHAT = {"images": "pictures", "video": "clips"}


def render(study: Study, result: Result, plots: Sequence[Path], scenes: Sequence[slider.Scene]) -> str:
    """The whole page."""
    count = result.means[0].sources if result.means else 0
    what = _WHAT[study.kind]
    title = f"Rate and quality on {count} {what}"
    links = [("bdrate", "BD-rate"), ("plots", "Curves"), ("compare", "Compare"), ("how", "Commands")]
    nav = "".join(f'<a href="#{name}">{text}</a>' for name, text in links if name != "compare" or scenes)
    parts = [
        f"<h1>{html.escape(title)}</h1><p class=lead>{_lead(study)}</p><nav>{nav}</nav>",
        *(f"<p class=note>{html.escape(note)}</p>" for note in result.notes),
        f"<h2 id=bdrate>BD-rate</h2>{_bd_text(study)}",
        *_bd_tables(study, result.bdrates),
        "<h2 id=plots>Curves</h2><div class=plots>" + "".join(map(_image, plots)) + "</div>",
        f"<h2 id=compare>Compare at equal size</h2>{slider.section(scenes)}" if scenes else "",
        f"<h2 id=how>Commands and versions</h2>{_commands(study)}",
        _means(result),
        _failures(result),
    ]
    return slider.document(title, "".join(parts), _STYLE)


def _lead(study: Study) -> str:
    names = [peer.name for peer in study.peers] + [_shown(name) for name in study.published]
    return "Codecs: " + ", ".join(html.escape(name) for name in names) + "."


def _bd_text(study: Study) -> str:
    basis = (
        "of the mean curves over all pictures" if study.kind == "images" else "for each clip, then the mean over clips"
    )
    return (
        f"<p class=note>Change of bits at equal quality, {basis}: the row against the column; negative is fewer bits. "
        "Akima interpolation by the package bjontegaard, PCHIP and the shared span of quality in small type. "
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
        folded = f"<details><summary>{html.escape(label)}</summary>{table}</details>"
        tables.append(folded if len(tables) >= 2 else table)
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
    small = f"{rate.pchip:+.1f} &middot; {rate.low:.0f}&ndash;{rate.high:.0f} dB"
    return f'<td class={kind} title="{title}">{rate.akima:+.1f}&thinsp;%<small>{small}</small></td>'


def _image(plot: Path) -> str:
    data = base64.b64encode(plot.read_bytes()).decode("ascii")
    return f'<img alt="{plot.stem} over rate" src="data:image/png;base64,{data}">'


def _commands(study: Study) -> str:
    items = "".join(
        f"<dt>{html.escape(peer.name)}</dt><dd><code>{html.escape(peer.about)}</code><br>"
        f"{html.escape(peer.parameter)} {', '.join(f'{setting:g}' for setting in peer.settings)}; "
        f"{html.escape(peer.version())}</dd>"
        for peer in study.peers
    )
    other = [name for name in study.published if name.startswith(PUBLISHED)]
    if other:
        items += f"<dt>{html.escape(', '.join(other))}</dt><dd>data/published_kodak.csv, not measured here</dd>"
    return (
        f"<pre><code>{html.escape(study.command)}</code></pre><dl>{items}</dl><p class=note>{_METHOD[study.kind]}</p>"
        f"<p class=note>{html.escape(_versions())}</p>"
    )


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


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found) + f"; {platform.system()} {platform.machine()}."


def _means(result: Result) -> str:
    head = ("codec", "setting", "bpp", "PSNR", "YUV 6:1:1", "MS-SSIM dB", "encode s", "decode s")
    return f"<details><summary>All means</summary>{_table(head, map(mean_cells, result.means))}</details>"


def _failures(result: Result) -> str:
    if not result.failures:
        return ""
    rows = ((item.codec, item.setting, item.source, item.reason) for item in result.failures)
    return f"<h2>Failed measurements</h2>{_table(('codec', 'setting', 'source', 'reason'), rows)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<div class=scroll><table>" + line("th", head) + "".join(line("td", row) for row in rows) + "</table></div>"
