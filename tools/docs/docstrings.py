"""Lays out docstrings for the site: lines of `name   meaning` become a list, which Markdown would run together."""

from __future__ import annotations

import re
from typing import Any

ENTRY = re.compile(r"^([a-z_]\w*) {2,}(\S.*)$")


def laid_out(text: str) -> str:
    """`name   meaning` lines with their indented continuations as a Markdown list; everything else as it is."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        entry = ENTRY.match(line)
        if entry:
            lines += [] if inside or not lines or not lines[-1] else [""]
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif inside and line.startswith("  "):
            lines[-1] += " " + line.strip()
        else:
            lines += [""] if inside and line else []
            lines.append(line)
        inside = bool(entry) or (inside and line.startswith("  "))
    return "\n".join(lines)


try:
    from griffe import Extension
except ImportError:  # the functions above need no griffe
    pass
else:

    class LaidOut(Extension):  # type: ignore[misc]  # griffe is not followed
        """The extension that mkdocs.yml names."""

        def on_instance(self, *, obj: Any, **_: Any) -> None:
            if obj.docstring is not None:
                obj.docstring.value = laid_out(obj.docstring.value)
