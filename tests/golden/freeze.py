"""Keeps the golden streams of a release: `python -m tests.golden.freeze 0.1.0`, once, in the commit that is released.

releases/VERSION/    every golden stream of that day, as FAMILY-NAME.tsr
expected.txt         of each its name, the id of its weights, its shape, and a digest of its pixels, "-" where these may
                     differ between machines

Every later version decodes each of them to the same pixels, or says which weights it lacks.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

import tessera
from tessera.codec.coding import weights

from ..support import toy_family

FOLDER = Path(__file__).resolve().parent
RELEASES = FOLDER / "releases"
TOY = "decode"  # the folder of the container's own streams, whose family is of the tests
LEFT_OUT = ("reject", "dyadic", RELEASES.name)  # dyadic: of weights that no release has


def streams(folder: Path = FOLDER) -> dict[str, Path]:
    """The golden streams that decode, by the names that they are kept under."""
    places = [path for path in sorted(folder.glob("*/*.tsr")) if path.parent.name not in LEFT_OUT]
    return {f"{path.parent.name}-{path.stem}": path for path in places}


def line_of(name: str, data: bytes) -> str:
    """What is expected of a stream."""
    with tessera.open(data) as clip:
        named, exact = clip.info.weights, clip.family.exact
    pixels = tessera.decode(data)
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()[:32] if exact else "-"
    return f"{name} {named} {'x'.join(map(str, pixels.shape))} {digest}"


def freeze(version: str, into: Path = RELEASES) -> Path:
    """Keep all golden streams under a version.  A version that is there is never changed."""
    target = into / version
    if target.exists():
        raise SystemExit(f"{target} exists: what a release decoded is for ever")
    target.mkdir(parents=True)
    lines = []
    for name, path in streams().items():
        shutil.copy(path, target / f"{name}.tsr")
        lines.append(line_of(name, path.read_bytes()))
    (target / "expected.txt").write_text("\n".join(lines) + "\n")
    return target


def broken(release: Path) -> list[str]:
    """Which promises of a release are broken."""
    found = []
    listed = (release / "expected.txt").read_text().splitlines()
    if {line.split()[0] for line in listed} != {path.stem for path in release.glob("*.tsr")}:
        found.append(f"{release.name}: files and expected.txt differ")
    for expected in listed:
        name, named = expected.split()[:2]
        try:
            now = line_of(name, (release / f"{name}.tsr").read_bytes())
        except tessera.UnsupportedError as error:
            if named not in str(error):
                found.append(f"{release.name}/{name}: refused without the weights that it needs: {error}")
            elif _installed(named):
                found.append(f"{release.name}/{name}: refused, though its weights are here: {error}")
        except tessera.CodecError as error:
            found.append(f"{release.name}/{name}: {error}")
        else:
            if now != expected:
                found.append(f"{release.name}/{name}: is {now}, was {expected}")
    return found


def _installed(named: str) -> bool:
    return any(one.id == named for one in weights.check())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version")
    toy_family.install(pytest.MonkeyPatch())
    print(freeze(parser.parse_args().version))
