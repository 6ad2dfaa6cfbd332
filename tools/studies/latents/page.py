"""The page and plots of `tessera evaluate latents`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tessera.tools.report import parts, plots
from tessera.tools.studies.latents.classifier import KEPT, LAYERS, NARROW, WIDTH
from tessera.tools.studies.latents.rows import LatentsResult, LatentsRow, Verdict, means

_METHOD = (
    f"Every source gives the same number of tokens per picture. One linear layer to width {WIDTH}, {LAYERS} "
    f"transformer layers, the mean over tokens, a linear head; {KEPT:.0%} of a training picture's tokens, half of the "
    "pictures mirrored before they are coded or resized; features scaled to mean 0 and spread 1 over the training set. "
    f"Indices (ids) are looked up in tables of {NARROW} numbers per index instead, learned with the rest. "
    "The same steps, rates and seeds for all; accuracy on all test pictures after the last step, never used before. "
    "Pixels come from the set's own pictures, latents from .tsr files. Reading: a file in memory to tokens, one at a "
    "time, for pixels from JPEG files of quality 90. Rates are pictures a CPU second."
)


def by_source(rows: Sequence[LatentsRow]) -> tuple[list[str], list[list[str]]]:
    """Means over seeds."""
    head = ["source", "values", "a token", "bytes", "accuracy", "error", "seeds", "read/s", "train/s"]
    cells = []
    for name, (mean, error) in means(rows).items():
        group = [row for row in rows if row.codec == name]
        first = group[0]
        rate = sum(row.train_rate for row in group) / len(group)
        cells.append([name, f"{first.values:,}", str(first.channels), f"{first.bytes:.0f}", f"{100 * mean:.1f}",
                      f"{100 * error:.1f}", str(len(group)), f"{first.read_rate:.0f}", f"{rate:.0f}"])  # fmt: skip
    return head, cells


def verdict_table(verdicts: Sequence[Verdict]) -> tuple[list[str], list[list[str]]]:
    head = ["latents", "pixels", "difference", "error", "latents are better"]
    return head, [[v.latents, v.pixels, f"{100 * v.difference:+.1f}", f"{100 * v.error:.1f}", v.says] for v in verdicts]


def write(folder: Path, result: LatentsResult, command: str) -> None:
    """latents.png, reading.png and index.html."""
    rows = result.rows
    known = means(rows)
    pictures = [
        (_draw(folder / "latents.png", "accuracy (%), mean over seeds", rows,
               {name: 100 * mean for name, (mean, _) in known.items()}), "accuracy over values per picture"),
        (_draw(folder / "reading.png", "pictures read a CPU second", rows, {row.codec: row.read_rate for row in rows}),
         "pictures read a second over values per picture"),
    ]  # fmt: skip
    title = f"The same transformer on latents and on pixels: {result.set}"
    lead = (
        f"{result.train} training and {result.test} test pictures, {result.epochs} epochs, "
        f"{result.side**2} tokens per picture, files of quality {result.quality:g} where no @ says otherwise."
    )
    links = [("sources", "Sources"), ("claim", "Claim"), ("plots", "Curves"), ("how", "Command")]
    body = [
        parts.head(title, lead, links, []),
        "<h2 id=sources>Accuracy (%) by source</h2>", parts.table(*by_source(rows)),
        "<h2 id=claim>Latents beside pixels of as many values</h2>", parts.table(*verdict_table(result.verdicts)),
        "<h2 id=plots>Curves</h2><div class=plots>", *(parts.image(*picture) for picture in pictures), "</div>",
        "<h2 id=how>Command and versions</h2>",
        parts.commands(command, [], [], _METHOD),
    ]  # fmt: skip
    (folder / "index.html").write_text(parts.document(title, "".join(body)), encoding="utf-8")


def _draw(file: Path, label: str, rows: Sequence[LatentsRow], values: dict[str, float]) -> Path:
    """One line a kind of source, over the number of values per picture."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for name, value in values.items():
        kind = "rgb" if name.startswith("rgb") else ":".join(name.partition("@")[0].split(":")[:2])
        count = next(row.values for row in rows if row.codec == name)
        lines.setdefault(kind, []).append((float(count), value))
    ours = [name for name in lines if name != "rgb"]
    plots.draw(file, label, lines, plots.palette(list(lines), ours), ours, below="values per picture")
    return file
