"""A page for each folder of docs/report: its plots, its BD-rates and its tables, read from the committed files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

LONGEST = 90  # rows of a table that is shown whole; a longer one is linked
OURS = ("spatiotemporal", "wavelet", "vqgan", "nerv", "overfitted")
METRICS = {"psnr": "RGB PSNR", "msssim": "MS-SSIM", "psnr_yuv": "YUV PSNR"}
TITLES = {  # folder -> (title, page that discusses it)
    "kodak": ("Pictures: Kodak", "figures.md"),
    "video": ("Clips", "figures.md"),
    "bunny": ("A rendered film: Big Buck Bunny", "figures.md"),
    "extreme": ("Lowest rates", "vqgan.md"),
    "machine": ("What classifiers see", "machine.md"),
    "latents": ("Learning from latents and from pixels", "tokens.md"),
    "latents-dct": ("Learning from coefficients of pixels", "tokens.md"),
    "tokens": ("Token reduction, frames coded alone", "tokens.md"),
    "tokens-spatiotemporal": ("Token reduction, predicted frames", "tokens.md"),
    "retrieval": ("Clips found by words", "tokens.md"),
    "bulk": ("Many files", "bulk.md"),
    "nerv": ("A clip as a network: rates", "nerv.md"),
    "nerv/architectures": ("A clip as a network: architectures", "nerv.md"),
    "nerv/half": ("A clip as a network: half the published size", "nerv.md"),
    "nerv/full": ("A clip as a network: the published size", "nerv.md"),
}


def folders(root: Path) -> list[str]:
    """Folders of `root` that hold a report, as paths below it."""
    return sorted({file.parent.relative_to(root).as_posix() for file in root.rglob("*.csv")})


def page(root: Path, name: str) -> str:
    """The page of one report as Markdown; links are relative to its folder."""
    folder, up = root / name, "../" * (name.count("/") + 2)
    title, discussed = TITLES.get(name, (name, "figures.md"))
    parts = [f"# {title}\n", f"Discussed in [{discussed.removesuffix('.md')}]({up}{discussed}).\n"]
    parts += [f"![{plot.stem}]({plot.name}){{ width=340 }}" for plot in sorted(folder.glob("*.png"))]
    for file in sorted(folder.glob("*.csv")):
        head, *rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines())) or [[]]
        parts.append(f"\n## {file.stem}\n\n[{file.name}]({file.name}), {len(rows)} rows.\n")
        if file.name == "bdrate.csv":
            parts.append(_bdrates(head, rows))
        elif len(rows) <= LONGEST:
            parts.append(table(head, rows))
    return "\n".join(parts) + "\n"


def _bdrates(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """One table a metric: references down, our codecs across, differences of rate in %."""
    records = [dict(zip(head, row, strict=True)) for row in rows]
    subjects = [name for name in dict.fromkeys(r["codec"] for r in records) if name.split("@")[0] in OURS]
    parts = ["BD-rate in %; negative: fewer bits than the reference at equal quality.\n"]
    for metric, label in METRICS.items():
        found = {(r["codec"], r["reference"]): r["akima"] for r in records if r["metric"] == metric and r["akima"]}
        references = list(dict.fromkeys(reference for subject, reference in found if subject in subjects))
        if references:
            cells = [[_name(r), *(_percent(found.get((s, r), "")) for s in subjects)] for r in references]
            parts.append(table([f"{label}, against", *map(_name, subjects)], cells))
    return "\n".join(parts)


def _name(codec: str) -> str:
    """A codec, its options on lines of their own, so that columns stay narrow."""
    return codec.replace("@", "<br>")


def _percent(text: str) -> str:
    return f"{float(text):+.1f}" if text else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
