"""The page `Python API`: every name that `tessera` exports, for mkdocstrings to fill in from the docstrings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

HEAD = """# Python API

What `tessera` exports. Everything else is private and may move between versions. The names are loaded when they are
first used, so `import tessera` is quick.

```python
import tessera
```
"""


def document(links: Path) -> str:
    """The page as Markdown; `links` is the folder that holds the package `tessera`."""
    import griffe

    package = griffe.load("tessera", search_paths=[links], resolve_aliases=True)
    found: dict[str, list[str]] = {"Functions": [], "Classes": [], "Errors": [], "Training data": []}
    for name in exported():
        member = package[name]
        if member.is_module:
            found["Training data"] += [f"{name}.{child}" for child, m in member.members.items() if _is_ours(m)]
        elif name.endswith("Error"):
            found["Errors"].append(name)
        else:
            found["Functions" if member.is_function else "Classes"].append(name)
    sections = (_section(title, names) for title, names in found.items() if names)
    return HEAD + "\n" + "\n".join(sections)


def exported() -> list[str]:
    """The public names, in the order of `tessera.__all__`."""
    import tessera

    return [str(name) for name in tessera.__all__]


def _is_ours(member: Any) -> bool:
    """A name that the module takes from elsewhere in the package, to export it."""
    return bool(member.is_alias and member.target_path.startswith("tessera."))


def _section(title: str, names: list[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"::: tessera.{name}\n" for name in names)
