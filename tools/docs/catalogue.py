"""The published systems that the token interface serves: the call for each, its tests, or why it is missing.

python -m tessera.tools.docs.catalogue > docs/tokens.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import systems

REAL, SIMPLIFIED, DATA, PART, NOT_YET = "real", "simplified", "data", "part", "not yet"
STATES = (REAL, SIMPLIFIED, DATA, PART, NOT_YET)


@dataclass(frozen=True)
class SystemRow:
    """One system.  `how` is the call that serves it, or the reason why there is none; `tests` check it."""

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


def _rows() -> dict[int, SystemRow]:
    found: dict[int, SystemRow] = {}
    for name, idea, state, how, *tests in _records(systems.ROWS):
        number, system = name.split(". ", 1)
        found[int(number)] = SystemRow(system, idea, state, how, tuple(tests[0].split(", ")) if tests else ())
    return found


SYSTEMS: dict[int, SystemRow] = _rows()
CLAIMS: tuple[tuple[str, str, str], ...] = tuple((what, state, test) for what, state, test in _records(systems.CLAIMS))


def systems_of(rows: Sequence[int]) -> list[str]:
    """Names of the systems of those rows."""
    return [SYSTEMS[row].system for row in rows]


MEANING = {
    REAL: "the paper's idea as a whole, on latents",
    SIMPLIFIED: "the idea without a part of the paper, which the row names",
    DATA: "a plan, a mask or tokens that a language model has to follow; tested in a small decoder with random weights",
    PART: "some of it, for the reason in the row",
    NOT_YET: "nothing yet",
}

HEAD = """# Latents as tokens

This page is made by `python -m tessera.tools.docs.catalogue`; a test compares it with the code.

    tokens = clip.tokens(reduce="tome", budget=64)
    tessera tokens IN.tsr OUT.safetensors --reduce tome --budget 64

**Budget.** A budget is one of

| budget | meaning |
| --- | --- |
| `64` | so many tokens |
| `0.25` or `"25%"` | a share of the cells |
| `(t, h, w)` | a raster |
| a list | one number per frame |
| `Bits(n, most)` | as many tokens as `n` bits pay for |
| `Adaptive(threshold, most)` | the content decides |

**Steps** are chained: `frames(budget=0.5) | tome`.

**Channels.** `clip.tokens(channels=6)` reads the first six channels of the latents alone and decodes no more than they
need. Frames alone of `spatiotemporal` are an exception: they are decoded whole.

**Preview.** `tessera.preview(clip, share=0.1)` makes coarse latents of the first tenth of every group. Its
`upgrade()` reads the rest, and nothing twice.

**Codebook indices.** Codec vqgan has indices as well:

| call | result |
| --- | --- |
| `clip.tokens(kind="ids")` | indices as a sequence (T, n) |
| `clip.ids()` | indices as a grid of cells of 16 x 16 pixels, 11 per cell |
| `clip.tokens(kind="packed")` | their bytes at fixed length |
| `clip.from_ids(ids)` | frames, from any of these |
| `tessera.encode_ids(ids, like)` | a file |
| `data.MaskedIds(paths)` | batches in which some indices are hidden |

`clip.tokens(kind="bytes")` gives the file itself, of any codec.

**Measure.**

| command | what it measures |
| --- | --- |
| `tessera evaluate tokens` | all methods at equal budgets, by a small model that answers questions about clips |
| `tessera evaluate retrieval` | how well words find clips |
| `tessera evaluate latents SET.tar` | one transformer, trained on latents, on indices and on pixels |
| `tessera bench tokens` | reading tokens beside decoding pixels and encoding patches |
"""


def document() -> str:
    """docs/tokens.md: the registry, the rows, the claims, what was measured."""
    counts = {state: sum(row.state == state for row in SYSTEMS.values()) for state in STATES}
    rows = [(str(n), r.system, r.idea, r.state, r.how, _tests(r.tests)) for n, r in SYSTEMS.items()]
    claims = [(str(n + 1), what, state, _tests([test])) for n, (what, state, test) in enumerate(CLAIMS)]
    parts = [
        HEAD,
        "## Methods and recipes\n",
        *_table(
            ("name", "primitive", "decided by", "axis", "needs", "budget in", "what it keeps", "serves"), _methods()
        ),
        "\n## Published systems\n",
        f"{len(SYSTEMS)} rows; row 77 is the paper of row 13 again.\n",
        *_table(("state", "rows", "meaning"), [(s, str(counts[s]), MEANING[s]) for s in STATES]),
        "",
        "The tests are in `tests`. Each row's test compares with a plain reading of the paper, an exact value or",
        "a random choice. `tests/models/tokens/mutants` takes the ideas out one by one, and the test must fail.\n",
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
