"""The page and plots of `tessera evaluate tokens`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tessera.data import shapes
from tessera.tools.report import parts, plots
from tessera.tools.studies.tokens.rows import Paired, TokensResult, TokensRow

SCORES = ("bits", "novelty", "random", "uniform", "l2", "temporal", "change", "kcenter")
_METHOD = (
    "Tokens are the latents of .tsr files of procedural clips (data/shapes.py). The model is trained from scratch on "
    "whole clips and random parts of them, so random selection is what it knows best; no method is trained for. "
    "A kind's accuracy is over its questions, with the likeliest of the kind's answers; the mean is over the four "
    "kinds. reduce: median time of one reduction; model: mean time of one pass over the kept tokens and the clip's "
    "questions, both in CPU ms. Methods that need attention get it from a pass of the model over all "
    "tokens, whose time is the model's at 100 % and is not in reduce; those that need a query get the mean latent of "
    "the question's colours in training clips, one reduction a question. Recipes that are one method by another name "
    "are not listed twice."
)


def by_budget(rows: Sequence[TokensRow]) -> tuple[list[str], list[list[str]]]:
    """One line a method, best mean over the budgets below 100 % first: accuracy at each budget, times at the least."""
    budgets = list(dict.fromkeys(row.budget for row in rows))
    shares = [f"{budget:.0%}" for budget in budgets]
    head = ["method", "decided by", "needs", *shares, "tokens", "reduce ms", "model ms"]
    found: dict[str, dict[float, TokensRow]] = {}
    for row in rows:
        found.setdefault(row.method, {})[row.budget] = row

    def mean(by: dict[float, TokensRow]) -> float:
        some = [row.accuracy for budget, row in by.items() if budget < 1] or [row.accuracy for row in by.values()]
        return -sum(some) / len(some)

    cells = []
    for name, by in sorted(found.items(), key=lambda item: mean(item[1])):
        last = by[min(by)]
        values = [f"{100 * by[budget].accuracy:.1f}" for budget in budgets]
        cells.append([name, last.mechanism, last.needs or "-", *values, f"{last.tokens:.0f}",
                      f"{last.reduce_ms:.2f}", f"{last.model_ms:.2f}"])  # fmt: skip
    return head, cells


def every(rows: Sequence[TokensRow]) -> tuple[list[str], list[list[str]]]:
    """All figures."""
    head = ["method", "budget", "tokens", *shapes.KINDS, "mean", "reduce ms", "model ms"]
    cells = []
    for r in rows:
        kinds = [f"{100 * getattr(r, f'right_{kind}'):.1f}" for kind in shapes.KINDS]
        cells.append([r.method, f"{r.budget:.0%}", f"{r.tokens:.1f}", *kinds, f"{100 * r.accuracy:.1f}",
                      f"{r.reduce_ms:.2f}", f"{r.model_ms:.2f}"])  # fmt: skip
    return head, cells


def paired(pairs: Sequence[Paired]) -> tuple[list[str], list[list[str]]]:
    head = ["selection by", "budget", "against", "accuracy", "of the other", "difference", "95 %"]
    cells = [
        [p.method, f"{p.budget:.0%}", p.rival, f"{100 * p.accuracy:.1f}", f"{100 * p.rival_accuracy:.1f}",
         f"{100 * p.difference:+.1f}", f"{100 * p.low:+.1f} to {100 * p.high:+.1f}"]
        for p in pairs
    ]  # fmt: skip
    return head, cells


def write(folder: Path, result: TokensResult, command: str) -> None:
    """accuracy.png (selection by one score), methods.png (the best of each mechanism) and index.html."""
    rows = result.rows
    pictures = [
        (_draw(folder / "accuracy.png", "accuracy by what selects (%)", rows, SCORES, result.blind),
         "accuracy over the share of tokens that is kept, by score"),
        (_draw(folder / "methods.png", "best of each mechanism (%)", rows, _best(rows), result.blind),
         "accuracy over the share of tokens that is kept, best method of each mechanism"),
    ]  # fmt: skip
    title = f"Token reduction on {result.clips} clips of moving shapes"
    lead = (
        f"Latents of {result.codec} at quality {result.quality:g}; a model of three layers trained on "
        f"{result.training_clips} clips, {result.epochs} epochs, {result.training_seconds:.0f} CPU seconds."
    )
    nothing = ", ".join(f"{kind} {100 * result.blind[kind]:.1f} %" for kind in shapes.KINDS)
    notes = [f"Without looking, the commonest answer of each kind is right in: {nothing}."]
    links = [("budgets", "Budgets"), ("bits", "Bits"), ("plots", "Curves"), ("how", "Command")]
    body = [
        parts.head(title, lead, links, notes),
        "<h2 id=budgets>Accuracy (%) at equal budgets</h2>", parts.table(*by_budget(rows)),
        "<h2 id=bits>Selection by bits beside others</h2>", parts.table(*paired(result.paired)),
        "<h2 id=plots>Curves</h2><div class=plots>", *(parts.image(*picture) for picture in pictures), "</div>",
        "<h2 id=how>Command and versions</h2>",
        parts.commands(command, [], [], _METHOD),
        parts.folded("Every figure", parts.table(*every(rows))),
    ]  # fmt: skip
    (folder / "index.html").write_text(parts.document(title, "".join(body)), encoding="utf-8")


def _best(rows: Sequence[TokensRow]) -> tuple[str, ...]:
    """The best method of each mechanism, by the mean over budgets."""
    total: dict[tuple[str, str], float] = {}
    for row in rows:
        total[row.mechanism, row.method] = total.get((row.mechanism, row.method), 0.0) + row.accuracy
    best: dict[str, str] = {}
    for mechanism, method in sorted(total, key=lambda key: -total[key]):
        best.setdefault(mechanism, method)
    return tuple(best.values())


def _draw(file: Path, label: str, rows: Sequence[TokensRow], names: Sequence[str], blind: dict[str, float]) -> Path:
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row.method in names:
            lines.setdefault(row.method, []).append((100 * row.budget, 100 * row.accuracy))
    shares = [100 * row.budget for row in rows]
    lines["without looking"] = [(min(shares), 100 * blind["accuracy"]), (max(shares), 100 * blind["accuracy"])]
    ours = [name for name in ("bits", "novelty", "cuts") if name in lines]
    plots.draw(file, label, lines, plots.palette(list(lines), ours), ours, below="tokens kept (%)",
               dashed=["without looking"])  # fmt: skip
    return file
