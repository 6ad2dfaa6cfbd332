"""The page and plot of `tessera evaluate retrieval`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tessera.tools.report import parts, plots
from tessera.tools.studies.retrieval.rows import RetrievalResult, RetrievalRow

_METHOD = (
    "Procedural clips (data/shapes.py) as .tsr files; no pixel is decoded. One tower sees latents, one reads colour, "
    "form and direction of each shape in the order in which they appear; both are trained from scratch to agree, on "
    "the last frame of each clip, then on four, then on all. Searched are clips that no training saw, each of another "
    "description."
)


def by_frames(rows: Sequence[RetrievalRow]) -> tuple[list[str], list[list[str]]]:
    head = ["search", "frames", "R@1", "R@5", "R@10", "median rank"]
    return head, [
        [row.way, str(row.frames), *(f"{100 * share:.1f}" for share in (row.r1, row.r5, row.r10)), f"{row.median:g}"]
        for row in rows
    ]


def write(folder: Path, result: RetrievalResult, command: str) -> None:
    """recall.png and index.html."""
    rows = result.rows
    lines = {
        f"{row.way}, R@{rank}": [
            (float(other.frames), 100 * getattr(other, f"r{rank}")) for other in rows if other.way == row.way
        ]
        for row in rows
        for rank in (1, 10)
    }
    plot = folder / "recall.png"
    plots.draw(plot, "right answers (%)", lines, plots.palette(list(lines), list(lines)), list(lines), below="frames")
    first = rows[0]
    title = "Clips found by words, from latents"
    lead = (
        f"{first.codec} at {first.setting}, {first.training} of training in {result.training_seconds:.0f} CPU s; "
        f"{first.clips} clips to search, so that chance is right in {100 / first.clips:.1f} %."
    )
    body = [
        parts.head(title, lead, [("recall", "Recall"), ("how", "Command")], []),
        "<h2 id=recall>Recall (%)</h2>", parts.table(*by_frames(rows)),
        "<div class=plots>", parts.image(plot, "recall over the number of frames"), "</div>",
        "<h2 id=how>Command and versions</h2>",
        parts.commands(command, [], [], _METHOD),
    ]  # fmt: skip
    (folder / "index.html").write_text(parts.document(title, "".join(body)), encoding="utf-8")
