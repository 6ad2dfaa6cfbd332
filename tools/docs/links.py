"""Links of Markdown files that are read both in the repository and on the site."""

from __future__ import annotations

import posixpath
import re

LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
ELSEWHERE = re.compile(r"[a-z]+:|#|/")  # an address, a place on this page, or an absolute path


def rewrite(markdown: str, source: str, page: str, pages: dict[str, str]) -> str:
    """Markdown of the repository file `source` as the site's page `page`.

    `pages`: repository path -> path on the site, of everything that the site shows.  A link to a page of the site
    becomes relative to `page`; one to another file of the repository becomes plain text, as the site has no such file.
    """

    def place(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        if ELSEWHERE.match(target):
            return match[0]
        path, hash_, anchor = target.partition("#")
        found = pages.get(posixpath.normpath(posixpath.join(posixpath.dirname(source), path)))
        if found is None:
            return text
        return f"{mark}[{text}]({posixpath.relpath(found, posixpath.dirname(page) or '.')}{hash_}{anchor})"

    return LINK.sub(place, markdown)
