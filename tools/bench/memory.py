"""Peak memory of one encoding or decoding, each in a process of its own, as Linux accounts for it."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

STATUS = Path("/proc/self/status")
MiB = 1 << 20


def measure(codec: str, height: int, width: int, threads: int) -> dict[str, dict[str, float]]:
    """MiB of resident memory: `loaded` with the weights read and a small picture coded, `peak` in the work itself.

    Keys are ours_encode, ours_decode, peer_encode and peer_decode; the peer's are absent where it is not installed, and
    all are where the system has no /proc.
    """
    from tessera.tools.bench.codec import peer_is_installed

    if not STATUS.exists():
        return {}
    who = ("ours", "peer") if peer_is_installed() else ("ours",)
    found: dict[str, dict[str, float]] = {}
    context = multiprocessing.get_context("spawn")
    for name in who:
        for task in ("encode", "decode"):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(name, task, codec, height, width, threads, sender))
            process.start()
            sender.close()
            try:
                loaded, peak = receiver.recv()
            except EOFError:
                continue  # the process died; the speeds have been measured all the same
            finally:
                process.join()
            found[f"{name}_{task}"] = {"loaded": round(loaded / MiB, 1), "peak": round(peak / MiB, 1)}
    return found


def _work(name: str, task: str, codec: str, height: int, width: int, threads: int, sender: Connection) -> None:
    """In the process: code a small picture, note the memory, do the task, send both figures."""
    import torch

    from tessera.data import procedural
    from tessera.tools.bench.codec import functions

    torch.set_num_threads(threads)
    encode, decode = functions(name, codec)
    decode(encode(procedural.picture(64, 64)))
    pixels = procedural.picture(height, width)
    coded = encode(pixels) if task == "decode" else None  # its memory counts as loaded
    loaded = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    if task == "encode":
        encode(pixels)
    else:
        decode(coded)
    sender.send((loaded, _resident("VmHWM")))


def _resident(name: str) -> float:
    """Bytes that the line `name` of the process's status tells in kB."""
    lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return 1024 * float(next(line.split()[1] for line in lines if line.startswith(name + ":")))
