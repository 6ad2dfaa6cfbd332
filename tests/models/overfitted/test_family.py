"""Family `overfitted` through files: pixels, latents, bits, damage.  Its pictures are made up, not fitted."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tessera
from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.codec.files import info_file
from tessera.models.base.family import GroupSpec
from tessera.models.overfitted import coding, wire
from tessera.models.overfitted.cells import CHANNELS
from tessera.models.overfitted.family import OverfittedFamily
from tessera.models.overfitted.shape import FittedPicture, IntegerTensor
from tessera.models.reference import overfitted as reference
from tessera.tools.cli import main

from ...support.overfitted_pictures import TABLES, as_reference, coded, file_of, random_picture, spec_of


@pytest.fixture(scope="module")
def family() -> OverfittedFamily:
    loaded = weights.load("overfitted")[0]
    assert isinstance(loaded, OverfittedFamily)
    return loaded


def slow(picture: FittedPicture) -> NDArray[Any]:
    return reference.paint(as_reference(picture))


def test_files_of_pictures_and_clips() -> None:
    still, gray = random_picture((30, 21), 3, 1, 5, 1), random_picture((9, 40), 1, 0, 3, 2)
    assert np.array_equal(tessera.decode(file_of([still])), slow(still))
    assert np.array_equal(tessera.decode(file_of([gray]))[..., None], slow(gray))
    clip = [random_picture((17, 12), 3, seed % 3, 1 + seed, seed) for seed in range(3)]
    data = file_of(clip, digest=True)
    assert np.array_equal(tessera.decode(data), np.stack([slow(picture) for picture in clip]))
    with tessera.open(data) as opened:
        assert opened.info.codec == "overfitted"
        assert np.array_equal(opened[1:2], slow(clip[1])[None])


def test_latents_are_the_values_of_the_grids(family: OverfittedFamily) -> None:
    pictures = [random_picture((43, 70), 3, 1, 6, 4), random_picture((43, 70), 3, 0, 2, 5)]
    port = DecoderPort(TABLES, coded(*pictures))
    found = family.latents(spec_of(pictures[0], 2), port)
    port.finish()
    assert found.levels is not None and found.bits is not None
    assert found.x.shape == (2, 6, 9, CHANNELS) == (2, 6, 9, family.channels)
    for frame, picture in enumerate(pictures):
        x = found.x[frame]
        fine = picture.grid(0)
        assert np.array_equal(x[3, 5, :64].reshape(8, 8), fine[24:32, 40:48])
        assert np.array_equal(x[5, 8, :64].reshape(8, 8), np.pad(fine[40:43, 64:70], ((0, 5), (0, 2))))
        assert np.array_equal(x[3, 5, 64:80].reshape(4, 4), picture.grid(1)[12:16, 20:24])
        for level in range(9):
            values = found.levels[level][frame, ..., 0]
            assert np.array_equal(values, picture.grid(level) if level < picture.levels else np.zeros_like(values))
        if picture.levels == 6:
            assert x[3, 5, 84] == picture.grid(3)[3, 5] and x[3, 5, 86] == picture.grid(5)[0, 1]
    assert found.x[1, :, :, 80:].max() == 0  # levels that the second frame does not have
    costs = [coding.measure(picture, TABLES, family.kernels).bits for picture in pictures]
    assert found.bits.sum((1, 2)) == pytest.approx(costs, rel=1e-5)


def test_bits_lie_where_values_are(family: OverfittedFamily) -> None:
    """A corner of large values costs more than the rest."""
    picture = random_picture((64, 64), 3, 1, 5, 6, spread=0.1)
    picture.grid(0)[:16, :16] = 200
    bits = family.latents(spec_of(picture), DecoderPort(TABLES, coded(picture))).bits
    assert bits is not None
    bits = bits[0]
    assert bits[:2, :2].min() > 3 * bits[4:, 4:].max()


def test_options_are_checked(family: OverfittedFamily) -> None:
    chosen = family.configure("slow", point="large", iterations="300", seed=4).chosen
    assert (chosen.effort, chosen.point, chosen.iterations, chosen.seed) == ("slow", 2, 300, 4)
    for bad in ({"point": "huge"}, {"iterations": 0}, {"seed": "x"}, {"shade": 1}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            family.configure("fast", **bad)


def test_damaged_streams_end_in_an_error_or_in_pixels(family: OverfittedFamily) -> None:
    picture = random_picture((20, 33), 3, 2, 5, 7)
    stream, spec = coded(picture), spec_of(picture)
    draw, refused = np.random.default_rng(0), 0
    for _ in range(300):
        damaged = np.frombuffer(stream, np.uint8).copy()
        at = draw.integers(0, len(damaged) if draw.random() < 0.5 else 60, draw.integers(1, 4))
        damaged[at] ^= draw.integers(1, 256, at.size).astype(np.uint8)
        if draw.random() < 0.3:
            damaged = damaged[: draw.integers(0, len(damaged))]
        try:
            port = DecoderPort(TABLES, damaged.tobytes())
            family.decode(spec, port, "standard")
            port.finish()
        except (ValueError, tessera.FormatError):
            refused += 1
    assert refused > 290


@pytest.mark.parametrize("name", ["context.1.weight", "features.0.weight", "upsampling.own", "synthesis.4.weight"])
def test_sums_that_may_overflow_are_refused(family: OverfittedFamily, name: str) -> None:
    """The largest weights that pass, and a last bit more."""
    picture = random_picture((20, 33), 3, 2, 5, 7)
    values = np.zeros_like(picture.tensors[name].values)
    reach = 32767 if name.startswith("context") else 131071
    twice = 2 if name == "upsampling.own" else 1
    most = ((1 << 31) - (1 << 18) - 1) // (reach * twice)
    row = values.reshape(len(values), -1)[-1]
    count = min(row.size, -(-most // 32767))
    row[:count] = most // count
    row[0] += most - row.sum()
    bias = name.replace("weight", "bias")
    if bias in picture.tensors:
        picture.tensors[bias] = IntegerTensor(np.zeros_like(picture.tensors[bias].values), 0)
    for more, fits in ((0, True), (1, False)):
        row[0] += more
        picture.tensors[name] = IntegerTensor(values, 2)
        assert int(np.abs(values).max()) <= 32767
        if fits:
            coding.networks_of(picture)
            reference.check_sums(as_reference(picture))
            continue
        with pytest.raises(ValueError, match="too large a sum"):
            coding.networks_of(picture)
        with pytest.raises(ValueError, match=f"sums of {name}"):
            reference.check_sums(as_reference(picture))
        port = EncoderPort(TABLES)
        wire.put_numbers(port, picture, TABLES)
        with pytest.raises(ValueError, match="too large a sum"):
            family.decode(spec_of(picture), DecoderPort(TABLES, port.finish()), "standard")


def test_a_value_out_of_range_is_refused(family: OverfittedFamily) -> None:
    picture = random_picture((20, 33), 3, 1, 2, 7)
    picture.grid(1)[3, 4] = 2048
    with pytest.raises(ValueError, match="out of range"):
        coding.measure(picture, TABLES, family.kernels)
    with pytest.raises(ValueError, match="out of range"):
        family.decode(spec_of(picture), DecoderPort(TABLES, coded(picture)), "standard")
    with pytest.raises(ValueError, match="not in"):
        list(reference.read(spec_of(picture), DecoderPort(TABLES, coded(picture))))


def test_cost_grows_with_the_group(family: OverfittedFamily) -> None:
    costs = [family.cost(GroupSpec(frames, 512, 768, 3, 0)) for frames in (1, 2, 4)]
    assert all(a.work < b.work and a.memory < b.memory for a, b in pairwise(costs))
    one_row = family.cost(GroupSpec(1, 1, 512 * 768, 3, 0))
    assert one_row.work > 5 * costs[0].work  # strips of one row take the time of sixteen
    with pytest.raises(tessera.LimitError):
        tessera.decode(file_of([random_picture((64, 64), 3, 0, 3, 1)]), limits=tessera.Limits(work=1 << 20))


def test_info_tells_what_networks_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = [random_picture((17, 12), 3, 2, 4, 1), random_picture((17, 12), 3, 0, 3, 2)]
    (tmp_path / "x.tsr").write_bytes(file_of(pictures))
    info = info_file(str(tmp_path / "x.tsr"))
    assert info.bits["networks"] == round(sum(wire.number_bits(picture, TABLES) for picture in pictures))
    assert sum(info.bits.values()) == 8 * info.bytes
    assert main(["info", str(tmp_path / "x.tsr")]) == 0
    assert "networks   large, 4 levels; small, 3 levels" in capsys.readouterr().out


def test_nothing_at_work_needs_torch(tmp_path: Path) -> None:
    (tmp_path / "x.tsr").write_bytes(file_of([random_picture((17, 12), 3, 1, 4, 1)]))
    code = (
        "import sys, tessera; from tessera.tools.cli import main; tessera.decode(sys.argv[1]); "
        "assert main(['info', sys.argv[1]]) == 0 and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "x.tsr"], check=True)
