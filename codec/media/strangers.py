"""Files that people take for pictures or videos, told by their first bytes: what each is and what to do."""

from __future__ import annotations

import re

HEAD = 1 << 10  # bytes that are looked at

_SOUND = re.compile(
    rb"ID3|\xff[\xe2\xe3\xf0-\xf3\xf8-\xfb]|fLaC"
    rb"|FORM....AIF|RIFF....WAVE|RF64....WAVE|caff|#!AMR|wvPk|MAC |TTA1|MThd|\.snd",
    re.DOTALL,
)
_DRAWING = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml.*?\?>|<!--.*?-->|<!DOCTYPE[^>]*>|\s)*<svg[\s>]", re.DOTALL)
_LISTS = (b"#EXTM3U", b"ffconcat", b"[playlist]")
_DASH = re.compile(rb"\s*(?:<\?xml.*?\?>|<!--.*?-->|\s)*<MPD[\s>]", re.DOTALL)
_PAGES = (b"%PDF", b"%!PS")


def what_it_is(head: bytes) -> str | None:
    """The end of a message about a file that begins with `head`; None for one that is not known here."""
    if _SOUND.match(head):
        return "the file holds only audio, no video; give a video or a picture"
    if _DRAWING.match(head):
        return "SVG is a drawing, neither a picture of pixels nor a video; render it to PNG first"
    if head.startswith(_PAGES):
        return "a document is neither a picture nor a video; render its pages to PNG first"
    if head.startswith(_LISTS) or _DASH.match(head):
        return "a playlist is neither a picture nor a video; give the file that it names"
    if head[4:8] in (b"ftyp", b"mdat", b"wide", b"moov"):
        return "the video has no index (moov): the recording was not finished, or was cut; record or copy it again"
    return None
