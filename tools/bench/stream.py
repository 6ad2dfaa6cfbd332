"""Memory over a long clip: encoding it as from a pipe, and decoding it, each in a process of its own.

The clip is a street that pans to and fro, made as it is read; nothing of it lies on the disk but the coded file.
"""

from __future__ import annotations

import io
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tessera.codec.errors import ParameterError, UnsupportedError
from tessera.tools.bench import children
from tessera.tools.bench.threads import use

HEIGHT, WIDTH, FRAMES = 144, 176, 10_000
PATH = 640  # pixels that the street is longer than a frame
SHORT = 10  # the long clip is compared with one that is so many times shorter


class Street(io.RawIOBase):
    """A YUV4MPEG2 stream of `frames` frames, full range 4:4:4."""

    def __init__(self, frames: int) -> None:
        from PIL import Image

        from tessera.data import procedural

        colours = Image.fromarray(procedural.picture(HEIGHT, WIDTH + PATH)).convert("YCbCr")
        self._planes = np.ascontiguousarray(np.asarray(colours).transpose(2, 0, 1))
        self._left, self._frames = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F25:1 Ip C444 XCOLORRANGE=FULL\n".encode(), frames
        self._next = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left and self._next < self._frames:
            at = PATH - abs(PATH - self._next % (2 * PATH))
            self._left = b"FRAME\n" + self._planes[:, :, at : at + WIDTH].tobytes()
            self._next += 1
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def measure(codec: str, *, frames: int = FRAMES, threads: int | None = None) -> dict[str, Any]:
    """Peaks of whole processes in MiB and seconds, for `frames` frames and a tenth of them.

    UnsupportedError where the system does not tell a process's memory.
    """
    if frames < SHORT:
        raise ParameterError(f"--frames {frames}: at least {SHORT} are needed")
    if not children.STATUS.exists():
        raise UnsupportedError(f"bench stream reads {children.STATUS}, which this system lacks")
    found: dict[str, Any] = {"codec": codec, "clip": f"{WIDTH}x{HEIGHT}"}
    with tempfile.TemporaryDirectory() as folder:
        for count in (frames // SHORT, frames):
            path = str(Path(folder) / f"{count}.tsr")
            for task, work in (("encode", _encode), ("decode", _decode)):
                made = children.in_child(work, path, codec, count, threads)
                if made is None:
                    raise UnsupportedError(f"the process that was to {task} {count} frames died")
                found.setdefault(f"frames_{count}", {})[task] = made
            found[f"frames_{count}"]["bytes"] = Path(path).stat().st_size
    return found


def _encode(path: str, codec: str, frames: int, threads: int | None) -> dict[str, float]:
    import tessera

    use(threads)
    begun = time.monotonic()
    Path(path).write_bytes(tessera.encode(io.BufferedReader(Street(frames)), codec=codec))
    return _spent(begun)


def _decode(path: str, codec: str, frames: int, threads: int | None) -> dict[str, float]:
    import tessera

    use(threads)
    begun = time.monotonic()
    with tessera.open(path) as clip:
        count = sum(1 for _ in clip.frames())
    if count != frames:
        raise ValueError(f"{count} frames came back of {frames}")
    return _spent(begun)


def _spent(begun: float) -> dict[str, float]:
    return {"seconds": round(time.monotonic() - begun, 1), "peak_mib": round(children.peak(), 1)}
