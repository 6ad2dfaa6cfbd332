"""Speed and memory of a codec family beside CompressAI's bmshj2018-hyperprior, on the same threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tessera.codec.errors import ParameterError
from tessera.tools.bench.subjects import alternate, peer_work

PICTURE = (512, 768)  # height, width: multiples of 64, as the peer wants
FRAME = (1080, 1920)
CLIP = (17, 360, 640)  # frames, height, width


def measure(codec: str, *, runs: int = 5, threads: int | None = None) -> dict[str, Any]:
    """Medians of `runs` alternating runs, in seconds, and ratios peer / ours (above 1: ours is faster).

    `encode_1080p_fps` is frames per second of encoding one decoded 1920x1080 frame, group by group as for a clip;
    `encode_clip_fps` and `decode_clip_fps` are of a clip of 640x360, a group of 17 frames.
    `memory_mib` is as `memory.measure` says.  Without CompressAI the peer's figures are absent; `peer` says so.
    """
    if runs < 1:
        raise ParameterError(f"--runs {runs}: at least one run is needed")
    import tessera
    from tessera.data import procedural
    from tessera.tools.bench import memory
    from tessera.tools.bench.threads import use

    used = use(threads)
    pixels, frame = procedural.picture(*PICTURE), procedural.picture(*FRAME)
    coded = tessera.encode(pixels, codec=codec)
    clip = procedural.clip(*CLIP)
    coded_clip = tessera.encode(clip, codec=codec, fps=25)
    ours: dict[str, Callable[[], Any]] = {
        "encode": lambda: tessera.encode(pixels, codec=codec),
        "decode": lambda: tessera.decode(coded),
        "encode_1080p": lambda: tessera.encode(frame, codec=codec),
        "encode_clip": lambda: tessera.encode(clip, codec=codec, fps=25),
        "decode_clip": lambda: tessera.decode(coded_clip),
    }
    peer, theirs = peer_work(pixels)
    seconds = alternate({**{("ours", name): work for name, work in ours.items()}, **theirs}, runs)
    result: dict[str, Any] = {
        "codec": codec,
        "peer": peer,
        "threads": used,
        "runs": runs,
        "picture": f"{PICTURE[1]}x{PICTURE[0]}",
        "bytes": len(coded),
        "seconds": {f"{who}_{name}": value for (who, name), value in seconds.items()},
        "encode_1080p_fps": 1 / seconds["ours", "encode_1080p"],
        "encode_clip_fps": CLIP[0] / seconds["ours", "encode_clip"],
        "decode_clip_fps": CLIP[0] / seconds["ours", "decode_clip"],
    }
    if theirs:
        result["ratio"] = {name: seconds["peer", name] / seconds["ours", name] for name in ("encode", "decode")}
    result["memory_mib"] = memory.measure(codec, *PICTURE, used)
    return result
