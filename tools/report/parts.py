"""What the report pages are put together from: the document with its style, tables, plots, commands and versions."""

from __future__ import annotations

import base64
import html
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tessera.tools.measuring.job import Failure
from tessera.tools.peers.peer import Peer

_STYLE = """
*{box-sizing:border-box}
body{margin:0;background:#fafafb;color:#26262b;font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:74rem;margin:0 auto;padding:1.6rem 1.2rem 4rem}
h1{font-size:1.7rem;line-height:1.2;margin:.2em 0 .2em}h2{font-size:1.2rem;margin:2.2em 0 .6em}
.lead{color:#63636b;margin:0 0 1.4em}
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


def document(title: str, body: str) -> str:
    """One HTML page; an empty icon keeps browsers from asking for one."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def head(title: str, lead: str, links: Sequence[tuple[str, str]], notes: Sequence[str]) -> str:
    """Heading, one line below it, links (id, text) to the parts of the page, and the notes."""
    nav = "".join(f'<a href="#{name}">{html.escape(text)}</a>' for name, text in links)
    lines = "".join(f"<p class=note>{html.escape(note)}</p>" for note in notes)
    return f"<h1>{html.escape(title)}</h1><p class=lead>{html.escape(lead)}</p><nav>{nav}</nav>{lines}"


def image(plot: Path, text: str) -> str:
    """A PNG file inside the page; `text` says what it shows."""
    data = base64.b64encode(plot.read_bytes()).decode("ascii")
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{data}">'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls sideways where the window is narrow; its first column stays."""

    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<div class=scroll><table>" + line("th", head) + "".join(line("td", row) for row in rows) + "</table></div>"


def without_empty_columns(
    head: Sequence[str], rows: Iterable[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """The table without the columns that are empty in every row."""
    listed = list(rows)
    kept = [place for place in range(len(head)) if any(row[place] for row in listed)]
    return [head[place] for place in kept], [[row[place] for place in kept] for row in listed]


def number(value: float | None, digits: int) -> str:
    """A cell; empty where there is no figure."""
    return "" if value is None else f"{value:.{digits}f}"


def folded(summary: str, inside: str) -> str:
    return f"<details><summary>{html.escape(summary)}</summary>{inside}</details>"


def commands(command: str, peers: Sequence[Peer[Any, Any]], published: Sequence[str], method: str) -> str:
    """The command of the report, each codec's own, how figures are made (HTML), and the versions of packages."""
    items = "".join(
        f"<dt>{html.escape(peer.name)}</dt><dd><code>{html.escape(peer.about)}</code><br>"
        f"{html.escape(peer.parameter)} {', '.join(f'{setting:g}' for setting in peer.settings)}; "
        f"{html.escape(peer.version())}</dd>"
        for peer in peers
    )
    if published:
        items += f"<dt>{html.escape(', '.join(published))}</dt><dd>data/published_kodak.csv, not measured here</dd>"
    return (
        f"<pre><code>{html.escape(command)}</code></pre><dl>{items}</dl><p class=note>{method}</p>"
        f"<p class=note>{html.escape(_versions())}</p>"
    )


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found) + f"; {platform.system()} {platform.machine()}."


def failed(failures: Sequence[Failure]) -> str:
    """What could not be measured; empty where all could."""
    if not failures:
        return ""
    rows = ((item.codec, item.setting, item.source, item.reason) for item in failures)
    return f"<h2>Failed measurements</h2>{table(('codec', 'setting', 'source', 'reason'), rows)}"
