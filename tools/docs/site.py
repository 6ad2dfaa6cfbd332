"""Hook of mkdocs: adds the pages that are made from the code, and makes the repository's links work on the site."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LINKS = ROOT / ".dev"  # holds this checkout as the package `tessera`
COPIES = {  # page of the site -> file of the repository: one source for both
    "index.md": "README.md",
    "format.md": "codec/FORMAT.md",
    "weights.md": "models/weights/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changes.md": "CHANGELOG.md",
}


def on_config(config: Any) -> Any:
    """Describe this checkout's `tessera`, not an installed one.  mkdocs undoes changes of the path at import."""
    sys.path.insert(0, str(LINKS))
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    from tessera.tools.docs import api, command_line, reports

    made = {page: (ROOT / source).read_text(encoding="utf-8") for page, source in COPIES.items()}
    made |= {"commands.md": command_line.document(), "api.md": api.document(LINKS)}
    root = ROOT / "docs" / "report"
    made |= {f"report/{name}/index.md": reports.page(root, name) for name in reports.folders(root)}
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    from tessera.tools.docs import links

    uri = page.file.src_uri
    if uri.startswith("report/") or uri in ("api.md", "commands.md"):
        return markdown
    return links.rewrite(markdown, COPIES.get(uri, f"docs/{uri}"), uri, shown(files))


def shown(files: Any) -> dict[str, str]:
    """Repository path -> path on the site; a folder of a report leads to its page."""
    found = {f"docs/{file.src_uri}": file.src_uri for file in files}
    found |= {path.removesuffix("/index.md"): uri for path, uri in found.items() if path.endswith("/index.md")}
    return found | {source: page for page, source in COPIES.items()}
