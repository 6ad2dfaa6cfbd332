"""One job of a study: one codec at one setting on one source."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tessera.codec.errors import ParameterError
from tessera.tools.peers.peer import Peer, parse


@dataclass(frozen=True)
class JobContext:
    """What all jobs of a run have in common.

    kind          "images" or "video"
    qualities     of our families
    msssim_every  MS-SSIM and LPIPS of every n-th frame of a clip, the first one included
    checkpoint    folder for the states of families that fit networks to clips
    """

    kind: str
    qualities: tuple[float, ...]
    device: str = "cpu"
    msssim_every: int = 8
    checkpoint: Path | None = None


@dataclass(frozen=True)
class Job:
    """One codec at one setting on one file; `digest` names what the file holds."""

    context: JobContext
    codec: str
    setting: float
    path: Path
    digest: str


@dataclass(frozen=True)
class Failure:
    """A measurement that did not work out, and why."""

    codec: str
    setting: str
    source: str
    reason: str


@lru_cache(maxsize=64)
def subject(context: JobContext, spec: str) -> Peer[Any, Any]:
    """The codec that `spec` names, checked: ParameterError or UnsupportedError say what is wrong with it."""
    from tessera.tools.peers import families, learned, pictures, video

    clips = context.kind == "video"
    if spec.startswith(learned.PREFIX) and not clips:
        return learned.zoo_peer(spec)
    if families.known(spec):
        if clips:
            return families.clip_family(spec, context.qualities, context.device, context.checkpoint)
        return families.picture_family(spec, context.qualities, context.device)
    name = parse(spec)[0]
    names = video.CLIP_PEERS if clips else pictures.PICTURE_PEERS
    if name not in names:
        from tessera.models.registry import FAMILIES

        raise ParameterError(f"no codec {name!r} for {context.kind}; there are {', '.join([*FAMILIES, *names])}")
    found: Peer[Any, Any] = video.clip_peer(spec) if clips else pictures.picture_peer(spec)
    found.version()  # says now, not after an hour, that a library is missing
    return found


def setting_text(codec: Peer[Any, Any], setting: float) -> str:
    return f"{codec.parameter}={setting:g}"


def version_text(codec: Peer[Any, Any]) -> str:
    """The libraries and a digest of the fixed settings: rows made in another way are measured again."""
    return f"{codec.version()} [{hashlib.sha256(codec.about.encode()).hexdigest()[:6]}]"


def digest_of(path: Path) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def reason(error: Exception) -> str:
    """An error's type and message on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
