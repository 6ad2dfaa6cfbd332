"""Mutated .tsr files of every family: `python -m tests.fuzz.streams --count 1000000 --report found.json`.

Each is read in several ways, within tight limits, in child processes.  A reader may refuse it with a CodecError or
decode it; whatever else happens is a finding: another exception, a crash, a hang, more than SLOW seconds of one
processor, more than MEMORY bytes, or other pixels from a damaged file whose checksums were not repaired.

A case is its number: `--first 4711 --count 1` makes it again; `--keep FOLDER` writes the files of findings.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import tessera
from tessera.codec.coding.stream import decode_groups
from tessera.codec.format.pipe import PipeReader

from .invent import invented
from .mutate import mutated

LIMITS = tessera.Limits(pixels=1 << 13, group=1 << 15, frames=1 << 9, chunk=1 << 20, array=1 << 17)
SLOW = 10.0  # CPU seconds of one case
HANG = 60.0  # CPU seconds without progress of a child, or with no CPU at all so many minutes
MEMORY = 1 << 30  # bytes that cases may add to a child
BATCH = 2000  # cases of one child
INVENTED = 0.1  # share of the cases whose symbols are invented
FAMILIES = ("wavelet", "spatiotemporal", "vqgan", "overfitted", "nerv")


# -- seeds -------------------------------------------------------------------------------------------------------------


def seeds(families: tuple[str, ...] = FAMILIES) -> dict[str, bytes]:
    """Small sound files of each family, by name: stills and clips, gray and alpha, digests, times, metadata."""
    found: dict[str, bytes] = {}
    if "overfitted" in families:
        found |= {f"overfitted-{name}": data for name, data in _random_pictures()}
    for family in (name for name in families if name != "overfitted"):
        more: dict[str, Any] = {"params": 300, "epochs": 1} if family == "nerv" else {}
        for name, pixels, options in _samples():
            if family == "nerv" and name not in ("still", "clip"):
                continue
            if family == "nerv":
                options = {key: value for key, value in options.items() if key != "digest"}
            found[f"{family}-{name}"] = tessera.encode(pixels, codec=family, **options, **more)
    if "nerv" in families:
        clip = _pixels((3, 12, 14, 3))
        for arch in ("nerv", "nerv++-boost"):
            found[f"nerv-{arch}"] = tessera.encode(
                clip, codec="nerv", quality=20, gop=4, segment=2, params=300, epochs=1, arch=arch
            )
    return found


def _random_pictures() -> Iterator[tuple[str, bytes]]:
    """Of family `overfitted`, whose fit takes long: networks and grids of random numbers."""
    from ..support.overfitted_pictures import file_of, random_picture

    yield "still", file_of([random_picture((9, 11), 3, 0, 3, 1)], digest=True)
    yield "gray", file_of([random_picture((8, 7), 1, 1, 2, 2)])
    yield "clip", file_of([random_picture((8, 9), 3, 0, 2, seed) for seed in (3, 4)])


def _pixels(shape: tuple[int, ...]) -> Any:
    rng = np.random.default_rng(7)
    ramp = np.linspace(40, 200, int(np.prod(shape))).reshape(shape)
    return np.clip(ramp + rng.normal(0, 6, shape), 0, 255).astype(np.uint8)


def _samples() -> list[tuple[str, Any, dict[str, Any]]]:
    from PIL import Image

    picture = Image.fromarray(_pixels((8, 8, 3)))
    exif = Image.Exif()
    exif[270] = "a description"
    packed = io.BytesIO()
    picture.save(packed, "png", icc_profile=b"not a profile, but bytes" * 9, exif=exif)
    return [
        ("still", _pixels((9, 11, 3)), {"quality": 30}),
        ("gray", _pixels((8, 9)), {"quality": 60, "digest": True}),
        ("alpha", _pixels((7, 9, 4)), {"quality": 10}),
        ("metadata", packed.getvalue(), {"quality": 20}),
        ("clip", _pixels((4, 9, 10, 3)), {"quality": 25, "gop": 2, "digest": True}),
        ("alpha-clip", _pixels((3, 8, 9, 4)), {"quality": 25, "gop": 2}),
        ("long", _pixels((7, 8, 8, 3)), {"quality": 0, "gop": 5}),
    ]


# -- one case ----------------------------------------------------------------------------------------------------------


def _plain(data: bytes) -> Any:
    return tessera.decode(data, limits=LIMITS)


def _piped(data: bytes, conceal: bool) -> None:
    reader = PipeReader(io.BytesIO(data), LIMITS)
    for _ in decode_groups(reader, tessera.DecodeOptions(limits=LIMITS, conceal=conceal)):
        pass
    reader.metadata()


def _clip(data: bytes, use: Callable[[tessera.Clip, int], Any]) -> None:
    with tessera.open(data, limits=LIMITS) as clip:
        assert clip.info.bytes == len(data)
        for frame in sorted({0, len(clip) // 2, len(clip) - 1} & set(range(len(clip)))):
            try:
                use(clip, frame)
            except tessera.CodecError:
                pass


def _between(clip: tessera.Clip, frame: int) -> None:
    clip.at(float(clip.times(frame, frame + 1)[0]) + 0.01)


WAYS: dict[str, Callable[[bytes], Any]] = {
    "partial": lambda data: tessera.decode(data, limits=LIMITS, partial=True),
    "conceal": lambda data: tessera.decode(data, limits=LIMITS, conceal=True),
    "pipe": lambda data: _piped(data, False),
    "piped conceal": lambda data: _piped(data, True),
    "verify": lambda data: tessera.verify(data, limits=LIMITS),
    "frame": lambda data: _clip(data, lambda clip, frame: clip[frame]),
    "at": lambda data: _clip(data, _between),
    "latents": lambda data: _clip(data, lambda clip, frame: clip.latents(frame, frame + 1)),
    "channels": lambda data: _clip(data, lambda clip, frame: clip.latents(frame, frame + 1, channels=3)),
    "preview": lambda data: _clip(data, lambda clip, frame: tessera.preview(clip, frame, frame + 1, share=0.3)),
    "ids": lambda data: _clip(data, lambda clip, frame: clip.ids(frame, frame + 1)),
    "pillow": lambda data: _opened_by_pillow(data),
    "repair": lambda data: _repaired(data),
}


def _opened_by_pillow(data: bytes) -> None:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height <= LIMITS.pixels:
                picture.load()
    except UnidentifiedImageError:
        pass


def _repaired(data: bytes) -> None:
    """What is told to be sound decodes."""
    with tempfile.TemporaryDirectory() as folder:
        report = tessera.repair(data, f"{folder}/a.tsr", limits=LIMITS)
        if report.ok:
            assert len(tessera.decode(f"{folder}/a.tsr", limits=LIMITS))


@dataclass
class Findings:
    """What the cases so far came to."""

    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    found: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: dict[str, Any]) -> None:
        self.cases += other["cases"]
        self.outcomes.update(other["outcomes"])
        self.found += other["found"]


@dataclass
class Case:
    """kind: how it was made.  pixels: what it decodes to if it is accepted; None: that may be anything."""

    kind: str
    family: str
    data: bytes
    pixels: Any
    rng: random.Random  # for the ways of reading it


class Cases:
    """Makes the cases and reads them."""

    def __init__(self, files: dict[str, bytes], salt: int = 0, keep: Path | None = None) -> None:
        self.names = sorted(files)
        self.files = [files[name] for name in self.names]
        self.families = sorted({name.partition("-")[0] for name in self.names})
        self.pixels = [tessera.decode(data) for data in self.files]
        self.salt, self.keep = salt, keep

    def make(self, number: int) -> Case:
        rng = random.Random(f"{self.salt}:{number}")
        if rng.random() < INVENTED:
            family = rng.choice(self.families)
            data, frames = invented(rng, family)
            return Case("invented", family, data, frames, rng)
        at = rng.randrange(len(self.files))
        data, repaired = mutated(rng, self.files[at], self.files)
        kind, pixels = ("repaired", None) if repaired else ("damaged", self.pixels[at])
        return Case(kind, self.names[at].partition("-")[0], data, pixels, rng)

    def run(self, number: int, into: Findings) -> None:
        began, way = time.process_time(), "made"
        into.cases += 1
        outcome, data = "accepted", b""
        try:
            case = self.make(number)
            way, data = "plain", case.data
            try:
                pixels = _plain(data)
                if case.pixels is not None and not np.array_equal(pixels.ravel(), case.pixels.ravel()):
                    raise AssertionError("decodes to other pixels")
            except tessera.CodecError as error:
                outcome = "limited" if isinstance(error, tessera.LimitError) else "refused"
            for way in case.rng.sample(sorted(WAYS), 2):
                try:
                    WAYS[way](data)
                except tessera.CodecError:
                    pass
            into.outcomes[f"{case.kind} {case.family} {outcome}"] += 1
        except Exception as error:
            where = [f"{Path(one.filename).name}:{one.lineno}" for one in traceback.extract_tb(error.__traceback__)]
            self.note(into, number, data, f"{way}: {type(error).__name__}: {error}", " ".join(where[-4:]))
        if (spent := time.process_time() - began) > SLOW:
            self.note(into, number, data, f"slow: {spent:.1f} s", "")

    def note(self, into: Findings, number: int, data: bytes, what: str, where: str) -> None:
        digest = hashlib.sha256(data).hexdigest()[:16]
        into.found.append({"case": number, "what": what[:300], "where": where, "bytes": len(data), "digest": digest})
        if self.keep is not None:
            (self.keep / f"{digest}.tsr").write_bytes(data)


# -- children ----------------------------------------------------------------------------------------------------------


def child(folder: Path, salt: int, first: int, count: int, progress: Path, keep: Path | None) -> int:
    """Run cases first..first+count-1 of the seeds in `folder`; print the findings as JSON."""
    cases = Cases({path.stem: path.read_bytes() for path in sorted(folder.glob("*.tsr"))}, salt, keep)
    into = Findings()
    warnings.simplefilter("ignore")  # of partial decoding, which has something to tell of every case
    with open(progress, "r+b", buffering=0) as file:
        most = _peak() + MEMORY
        for number in range(first, first + count):
            os.pwrite(file.fileno(), b"%20d" % number, 0)
            cases.run(number, into)
            if _peak() > most:
                cases.note(into, number, cases.make(number).data, f"memory: {_peak() >> 20} MiB", "")
                most = _peak() + (MEMORY >> 2)
    print(json.dumps({"cases": into.cases, "outcomes": into.outcomes, "found": into.found}))
    return 0


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def batch(folder: Path, salt: int, first: int, count: int, keep: Path | None) -> dict[str, Any]:
    """The findings of one child; where it dies or hangs, the case at fault is one, and the rest runs in another."""
    progress = folder / f"progress-{first}"
    progress.write_bytes(b"%20d" % first)
    words = ["--child", str(folder), "--salt", str(salt), "--first", str(first), "--count", str(count)]
    words += ["--progress", str(progress), *(["--keep", str(keep)] if keep else [])]
    with subprocess.Popen([sys.executable, "-m", "tests.fuzz.streams", *words], stdout=subprocess.PIPE) as process:
        why = _watch(process, progress)
        out = process.stdout.read() if process.stdout else b""
    at = int(progress.read_bytes())
    progress.unlink()
    if not why and process.returncode == 0:
        done: dict[str, Any] = json.loads(out)
        return done
    total = Findings()
    if at > first:
        total.add(batch(folder, salt, first, at - first, keep))
    what = why or f"the process ended with status {process.returncode}"
    total.add({"cases": 1, "outcomes": {"finding": 1}, "found": [{"case": at, "what": what, "where": ""}]})
    if at + 1 < first + count:
        total.add(batch(folder, salt, at + 1, first + count - at - 1, keep))
    return {"cases": total.cases, "outcomes": total.outcomes, "found": total.found}


def _watch(process: subprocess.Popen[bytes], progress: Path) -> str:
    """Wait for a child to end; kill it when it no longer goes on, and say so."""
    seen, spent, since = b"", 0.0, time.monotonic()
    while process.poll() is None:
        time.sleep(0.2)
        now = progress.read_bytes()
        if now != seen:
            seen, spent, since = now, _cpu_seconds(process.pid), time.monotonic()
        elif _cpu_seconds(process.pid) - spent > HANG or time.monotonic() - since > 60 * HANG:
            process.kill()
            return f"hangs after {_cpu_seconds(process.pid) - spent:.0f} CPU seconds"
    return ""


def _cpu_seconds(pid: int) -> float:
    """What a process has spent; the time of day where the system does not say.  A busy machine is no hang."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="cases to run")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--salt", type=int, default=0, help="another series of cases")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES))
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    parser.add_argument("--report", type=Path, help="JSON that is rewritten as the run goes on")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--progress", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child is not None:
        return child(args.child, args.salt, args.first, args.count, args.progress, args.keep)
    return _parent(args)


def _parent(args: argparse.Namespace) -> int:
    if args.keep is not None:
        args.keep.mkdir(parents=True, exist_ok=True)
    total, began = Findings(), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed, data in seeds(tuple(args.families)).items():
            (folder / f"{seed}.tsr").write_bytes(data)
        first, end = args.first, args.first + args.count
        while first < end and time.monotonic() - began < 60 * args.minutes:
            size = min(BATCH, end - first)
            total.add(batch(folder, args.salt, first, size, args.keep))
            first += size
            _report(args, total, first, time.monotonic() - began)
    return 1 if total.found else 0


def _report(args: argparse.Namespace, total: Findings, following: int, seconds: float) -> None:
    print(f"{total.cases} cases, {len(total.found)} findings, {seconds:.0f} s", file=sys.stderr, flush=True)
    if args.report is not None:
        text = {"cases": total.cases, "salt": args.salt, "next": following, "seconds": round(seconds)}
        whole = {**text, "outcomes": dict(sorted(total.outcomes.items())), "found": total.found}
        args.report.write_text(json.dumps(whole, indent=1))


if __name__ == "__main__":
    sys.exit(main())
