"""Peak memory of one encoding or decoding, each in a process of its own."""

from __future__ import annotations

from tessera.tools.bench import children


def measure(codec: str, height: int, width: int, threads: int) -> dict[str, dict[str, float]]:
    """MiB of resident memory: `loaded` with the weights read and a small picture coded, `peak` in the work itself.

    Keys are ours_encode, ours_decode, peer_encode and peer_decode; the peer's are absent where it is not installed, and
    all are where the system has no /proc.
    """
    from tessera.tools.bench.subjects import peer_is_installed

    if not children.STATUS.exists():
        return {}
    who = ("ours", "peer") if peer_is_installed() else ("ours",)
    found: dict[str, dict[str, float]] = {}
    for name in who:
        for task in ("encode", "decode"):
            memory = children.in_child(_work, name, task, codec, height, width, threads)
            if memory is not None:  # the process may have died; the speeds have been measured all the same
                found[f"{name}_{task}"] = {key: round(value, 1) for key, value in memory.items()}
    return found


def _work(name: str, task: str, codec: str, height: int, width: int, threads: int) -> dict[str, float]:
    """In the process: code a small picture, note the memory, do the task."""
    from tessera.data import procedural
    from tessera.tools.bench.subjects import functions
    from tessera.tools.bench.threads import use

    use(threads)
    encode, decode = functions(name, codec)
    decode(encode(procedural.picture(64, 64)))
    pixels = procedural.picture(height, width)
    coded = encode(pixels) if task == "decode" else None  # its memory counts as loaded
    loaded = children.resident()
    children.forget_peak()
    if task == "encode":
        encode(pixels)
    else:
        decode(coded)
    return {"loaded": loaded, "peak": children.peak()}
