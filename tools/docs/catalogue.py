"""The published systems that the token interface is held against: what serves each, tested where, or why not yet.

python -m tessera.tools.docs.catalogue > docs/tokens.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import systems

WORKS, PART, NOT_YET = "works", "part", "not yet"


@dataclass(frozen=True)
class Row:
    """One system.  `how` is the call that serves it, or the reason why nothing does; `tests` prove it."""

    system: str
    idea: str
    state: str
    how: str
    tests: tuple[str, ...] = ()


def _records(text: str) -> list[list[str]]:
    """One record a line, indented lines joined to the one before; fields between bars."""
    lines: list[str] = []
    for line in text.strip().splitlines():
        if line.startswith(" "):
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    return [[field.strip() for field in line.split(" | ")] for line in lines]


def _rows() -> dict[int, Row]:
    found: dict[int, Row] = {}
    for name, idea, state, how, *tests in _records(systems.ROWS):
        number, system = name.split(". ", 1)
        found[int(number)] = Row(system, idea, state, how, tuple(tests[0].split(", ")) if tests else ())
    return found


SYSTEMS: dict[int, Row] = _rows()
CLAIMS: tuple[tuple[str, str, str], ...] = tuple((what, state, test) for what, state, test in _records(systems.CLAIMS))


def systems_of(rows: Sequence[int]) -> list[str]:
    """Names of the systems of those rows."""
    return [SYSTEMS[row].system for row in rows]


HEAD = """# Latents as tokens

Made by `python -m tessera.tools.docs.catalogue`; a test compares it with the code.

`clip.tokens(reduce=NAME, budget=N)`, or `tessera tokens IN.tsr OUT.safetensors --reduce NAME --budget N`.  A budget is
a number, a share (0.25), a raster (t, h, w), a list of one number a frame, `Bits(n, most)` or `Adaptive(threshold,
most)`.  Steps are chained as in `frames(budget=0.5) | tome`.

Of codec vqgan, `clip.tokens(kind="ids")` gives codebook indices as a sequence (T, n) and as a grid of cells
(`clip.ids()`, 11 a cell of 16 x 16 pixels), kind "packed" their bytes at fixed length; `clip.from_ids` makes frames of
any of them, `codec.ids.encode_ids` a file, `data.MaskedIds` masked batches.  Kind "bytes" is the file itself, of any
codec.

`clip.tokens(channels=6)` reads the first six channels of the latents alone and decodes no more than they need.
`codec.prefix.preview(clip, share=0.1)` makes coarse latents of the first tenth of every group; `upgrade()` reads the
rest and nothing twice.

`tessera evaluate tokens` compares all methods at equal budgets by a small model that answers questions, `tessera
evaluate retrieval` finds clips by words, `tessera evaluate latents SET.tar` trains one transformer on latents, on
indices and on pixels, `tessera bench tokens` measures reading beside decoding and encoding patches.
"""


def document() -> str:
    """docs/tokens.md: the registry, the rows, the claims, what was measured."""
    counts = {state: sum(row.state == state for row in SYSTEMS.values()) for state in (WORKS, PART, NOT_YET)}
    rows = [(str(n), r.system, r.idea, r.state, r.how, _tests(r.tests)) for n, r in SYSTEMS.items()]
    claims = [(str(n + 1), what, state, _tests([test])) for n, (what, state, test) in enumerate(CLAIMS)]
    parts = [
        HEAD,
        "## Methods and recipes\n",
        *_table(
            ("name", "primitive", "decided by", "axis", "needs", "budget in", "what it keeps", "serves"), _methods()
        ),
        "\n## Published systems\n",
        f"{len(SYSTEMS)} rows; row 77 is the paper of row 13 again.  {counts[WORKS]} work, {counts[PART]} in part,"
        f" {counts[NOT_YET]} not yet.",
        "Tests are in `tests`; what lives inside a language model runs on a small decoder with random",
        "weights.\n",
        *_table(("row", "system", "idea", "state", "how, or why not", "tests"), rows),
        "\n## What the bits of the entropy model add\n",
        *_table(("", "what", "state", "test"), claims),
        "\n## Measured\n",
        systems.MEASURED.strip(),
    ]
    return "\n".join(parts) + "\n"


def _methods() -> list[tuple[str, ...]]:
    from ...models.tokens.methods.registry import list_methods

    found: list[tuple[str, ...]] = []
    for e in list_methods():
        serves, needs = ", ".join(systems_of(e["rows"])) or "-", ", ".join(e["needs"]) or "-"
        found.append(
            (f"`{e['name']}`", e["primitive"], e["mechanism"], e["axis"], needs, e["unit"], e["summary"], serves)
        )
    return found


def _tests(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


if __name__ == "__main__":
    print(document(), end="")
