"""Curves of quality over rate as PNG files, drawn small and with large type so that a phone shows them legibly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tessera.tools.measuring.bdrate import PUBLISHED, Point

OURS = ("#c8102e", "#f08a24", "#8e2bb5", "#e5558f", "#6e1423", "#c9a800", "#a4431a")
OTHERS = ("#1f6fb4", "#2a9d62", "#6b6f76", "#8c6239", "#17a2b0", "#9aa013", "#5b5bd6", "#b0577a")
INK, GRID = "#26262b", "#e3e3e6"
RATE = "bits per pixel of the file"
WIDE = 64.0  # where the greatest rate is so many times the least, fewer rates are labelled


def palette(names: Sequence[str], ours: Sequence[str]) -> dict[str, str]:
    """A colour for each curve: warm for ours, cool for the others."""
    others = [name for name in names if name not in ours]
    warm = {name: OURS[index % len(OURS)] for index, name in enumerate(name for name in names if name in ours)}
    return warm | {name: OTHERS[index % len(OTHERS)] for index, name in enumerate(others)}


def draw(file: Path, label: str, lines: Mapping[str, list[Point]], colours: Mapping[str, str], ours: Sequence[str],
         *, below: str = RATE, dashed: Sequence[str] = ()) -> None:  # fmt: skip
    """Lines of (x, y) points; `below` names x, which is logarithmic where it is a rate."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    style: Any = {"font.size": 12.5, "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK,
             "xtick.color": INK, "ytick.color": INK}  # fmt: skip
    with pyplot.rc_context(style):
        columns = 2 if max(map(len, lines)) < 24 else 1
        legend_rows = -(-len(lines) // columns)
        figure, axes = pyplot.subplots(figsize=(5.6, 4.6 + 0.24 * legend_rows), layout="constrained")
        for index, (name, points) in enumerate(lines.items()):
            rates, values = zip(*sorted(points), strict=True)
            first = name in ours
            axes.plot(
                rates, values, color=colours[name], label=_label(name), marker="os^Dv<>P"[index % 8],
                markersize=5 if first else 4, linewidth=2.6 if first else 1.5, zorder=3 if first else 2,
                linestyle="--" if name.startswith(PUBLISHED) or name in dashed else "-",
            )  # fmt: skip
        _axes(axes, label, below)
        figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=11.5)
        figure.savefig(file, dpi=150)
        pyplot.close(figure)


def _axes(axes: Any, label: str, below: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if below == RATE:
        axes.set_xscale("log", base=2)
        low, high = axes.get_xlim()
        if high > WIDE * low:  # every second power, or the numbers would run into each other
            axes.xaxis.set_major_locator(LogLocator(base=4))
            axes.xaxis.set_minor_locator(LogLocator(base=2))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:.3g}"))
    axes.set_xlabel(below)
    axes.set_title(label, fontsize=13.5, loc="left")
    axes.grid(True, which="both", color=GRID, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def _label(name: str) -> str:
    return name.removeprefix(PUBLISHED) + " (published)" if name.startswith(PUBLISHED) else name
