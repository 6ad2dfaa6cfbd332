"""Texts, files and messages as users hand them to a processor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError
from ..options import FileSource
from .clip import Clip

if TYPE_CHECKING:
    from ...models.tokens import TokenSet


def texts_of(name: str, given: Any) -> list[str]:
    """One text or several."""
    texts = [given] if isinstance(given, str) else list(given) if isinstance(given, (list, tuple)) else None
    if texts is None or not all(isinstance(one, str) for one in texts):
        raise ParameterError(f"{name} is a text or a list of texts, not {given!r:.60}")
    return texts


def check_message(message: Any) -> None:
    """A role, and a text or a list of parts."""
    if not hasattr(message, "keys") or "role" not in message or "content" not in message:
        raise ParameterError(f"a message of a conversation has role and content, not {message!r:.60}")
    content = message["content"]
    if not isinstance(content, str) and not (
        isinstance(content, (list, tuple)) and all(hasattr(part, "keys") and "type" in part for part in content)
    ):
        raise ParameterError(f"content is a text or a list of {{'type': ...}}, not {content!r:.60}")


def flat(videos: Any) -> Iterable[FileSource | Clip | TokenSet]:
    """Every file of lists in lists."""
    if videos is None:
        return
    if isinstance(videos, (list, tuple)):
        for one in videos:
            yield from flat(one)
        return
    yield videos


def files_of(conversation: Sequence[Any]) -> list[Any]:
    """The files named in the contents of messages, in order."""
    found = []
    for message in conversation:
        content = message["content"]
        for part in () if isinstance(content, str) else content:
            medium = part.get("type")
            if medium in ("video", "image"):
                file = next((part[name] for name in (medium, "path", "url") if part.get(name) is not None), None)
                if file is None:
                    raise ParameterError(f"a message's {medium} names no file")
                found.append(file)
    return found
