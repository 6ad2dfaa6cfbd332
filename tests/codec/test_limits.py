"""Memory and work are bounded before they are taken: by what heads say, and for `nerv` by what bytes justify."""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import tessera
from tessera.codec.coding import weights
from tessera.codec.coding.groups import group_spec
from tessera.codec.coding.ports import EncoderPort
from tessera.codec.format.header import GroupHead, Header
from tessera.codec.format.writer import ContainerWriter
from tessera.codec.limits import DEFAULT_LIMITS
from tessera.models.base.cost import Allowance, Cost, TooLarge, cost_of_cells
from tessera.models.base.family import GroupSpec
from tessera.tools import cli, options

CODECS = ("wavelet", "spatiotemporal", "vqgan")


def written(head: Header, group: GroupHead, symbols: bytes) -> bytes:
    sink = io.BytesIO()
    writer = ContainerWriter(sink, head, DEFAULT_LIMITS)
    writer.group(group, symbols)
    writer.finish()
    return sink.getvalue()


# -- what a frame's size tells -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
def test_work_and_memory_are_bounded_before_decoding(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family, _ = weights.load(codec)
    data = tessera.encode(np.full((64, 64, 3), 90, np.uint8), codec=codec, quality=10)
    cost = family.cost(GroupSpec(1, 64, 64, 3, 640))
    assert tessera.decode(data, limits=tessera.Limits(memory=cost.memory, work=cost.work)).shape == (64, 64, 3)

    def never(*args: object) -> object:
        raise AssertionError("decoding began")

    monkeypatch.setattr(type(family), "decode", never)
    for limits, name in (
        (tessera.Limits(memory=cost.memory - 1), "bytes of memory"),
        (tessera.Limits(work=cost.work - 1), "multiplications"),
    ):
        with pytest.raises(tessera.LimitError, match=name):
            tessera.decode(data, limits=limits)
        with pytest.raises(tessera.LimitError, match=name), tessera.open(data, limits=limits) as clip:
            clip.latents()
        with pytest.raises(tessera.LimitError, match=name):
            tessera.encode(np.full((64, 64, 3), 90, np.uint8), codec=codec, limits=limits)


@pytest.mark.parametrize("codec", CODECS)
def test_work_counts_every_weight_that_a_cell_meets(codec: str) -> None:
    """At least the largest synthesis network on every cell, and not twice of what there is."""
    family, _ = weights.load(codec)
    arrays = weights.read(weights.files(codec)[0])[0]
    names = {"wavelet": "standard.", "spatiotemporal": "still.standard.", "vqgan": "synthesis."}
    network = sum(a.size for name, a in arrays.items() if name.startswith(names[codec] + "weights."))
    every = sum(a.size for name, a in arrays.items() if "weight" in name and a.ndim >= 3)
    work = family.cost(GroupSpec(1, 800, 800, 3, 0)).work - family.cost(GroupSpec(1, 8, 8, 3, 0)).work
    assert network * 9_999 < work < 2 * every * 9_999


def test_tiny_frames_count_too() -> None:
    many, one = cost_of_cells(GroupSpec(1 << 16, 1, 1, 3, 0), 100), cost_of_cells(GroupSpec(1, 1, 1, 3, 0), 100)
    assert many.work == (1 << 16) * one.work > 1 << 42


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("codec", CODECS)
def test_memory_is_what_decoding_takes_at_most(codec: str, tmp_path: Path) -> None:
    """The estimate holds, and is not far above what is measured in a process of its own."""
    script = (
        "import re, sys, tessera\n"
        "def peak(): return 1024 * int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])\n"
        "tessera.decode(sys.argv[1]); before = peak(); tessera.decode(sys.argv[2]); print(peak() - before)\n"
    )
    files = [tmp_path / "small.tsr", tmp_path / "large.tsr"]
    for file, side in zip(files, (16, 1536), strict=True):
        pixels = np.full((side, side, 3), 90, np.uint8)
        file.write_bytes(tessera.encode(pixels, codec=codec, quality=10, effort="fast"))
    run = subprocess.run([sys.executable, "-c", script, *files], capture_output=True, text=True, check=True)
    told = weights.load(codec)[0].cost(GroupSpec(1, 1536, 1536, 3, 640)).memory
    assert told / 3 < int(run.stdout) < told


def test_the_usual_length_of_groups_keeps_to_the_limits() -> None:
    family, _ = weights.load("spatiotemporal")
    clip = np.full((20, 16, 16, 3), 90, np.uint8)
    limits = tessera.Limits(work=family.cost(GroupSpec(5, 16, 16, 3, 0)).work)
    data = tessera.encode(clip, codec="spatiotemporal", quality=5, effort="fast", limits=limits)
    with tessera.open(data, limits=limits) as read:
        assert {group.frames for group in read.info.groups} == {4}
    with pytest.raises(tessera.LimitError, match="multiplications"):
        tessera.encode(clip, codec="spatiotemporal", gop=20, limits=limits)


# -- what is lost ------------------------------------------------------------------------------------------------------


def test_few_bytes_cannot_claim_many_lost_frames() -> None:
    """A second group, far behind the first."""
    data = tessera.encode(np.full((2, 8, 8, 3), 90, np.uint8), codec="wavelet", quality=10, gop=1)
    with tessera.open(data) as clip:
        head, symbols = clip.reader.header, bytes(clip.reader.group(1).symbols)
    sink = io.BytesIO()
    writer = ContainerWriter(sink, head)
    writer.group(GroupHead(0, 1, head.quality), symbols)
    writer.frames = (1 << 24) - 1
    writer.group(GroupHead(writer.frames, 1, head.quality), symbols)
    with pytest.raises(tessera.LimitError, match="to fill in"):
        tessera.decode(sink.getvalue(), conceal=True)


# -- networks that the symbols name ------------------------------------------------------------------------------------


def nerv_bomb(side: int, strides: tuple[int, ...], width: int, flags: int = 31) -> bytes:
    """A file whose group ends after the numbers that name its network."""
    pytest.importorskip("torch")
    from tessera.models.nerv.config import CONTENT, Config
    from tessera.models.nerv.family import NervFamily
    from tessera.models.nerv.wire import IntegerWriter, visit_config, visit_segment

    family, weights_id = weights.load("nerv")
    assert isinstance(family, NervFamily)
    head = Header(weights.wire_id("nerv"), weights_id, side, side)
    spec = group_spec(head, 1, 0)
    config = Config(flags, 1, side, side, 3, strides, 1 if flags & CONTENT else 0, 16 * width).check()
    port = EncoderPort(family.tables)
    writer = IntegerWriter(port, family.ladder.costs)
    visit_config(writer, spec, config)
    visit_segment(writer, spec, 1)
    return written(head, GroupHead(), port.finish())


@pytest.mark.parametrize(
    ("side", "strides", "width", "flags", "what"),
    [
        (1024, (1,), 256, 31, "multiplications to paint a frame"),
        (256, (1,) * 8, 256, 31, "multiplications to paint a frame"),
        (2048, (1,), 40, 3, "elements of a layer"),
        (8, (1,), 2048, 0, "parameters"),
    ],
)
def test_a_network_has_to_be_justified(side: int, strides: tuple[int, ...], width: int, flags: int, what: str) -> None:
    data = nerv_bomb(side, strides, width, flags)
    assert len(data) < 100
    with pytest.raises(tessera.LimitError, match=f"bytes claim .* {what}; they justify"):
        tessera.decode(data)
    with pytest.raises(tessera.LimitError, match="justify"), tessera.open(data) as clip:
        clip.latents()


def test_a_network_keeps_to_the_limits_of_the_reader() -> None:
    data = nerv_bomb(64, (2, 2), 16)
    with pytest.raises(tessera.FormatError):  # what is missing after the numbers
        tessera.decode(data)
    for limits in (tessera.Limits(memory=1 << 24), tessera.Limits(work=1 << 20)):
        with pytest.raises(tessera.LimitError, match="decoding takes about"):
            tessera.decode(data, limits=limits)


@pytest.mark.parametrize("arch", ["nerv", "hnerv", "hnerv-boost", "nerv-boost", "nerv++", "nerv++-boost"])
def test_multiplications_are_those_that_are_run(arch: str) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from tessera.models.nerv.bounds import multiplications
    from tessera.models.nerv.config import ARCHITECTURES, CONTENT, Config
    from tessera.models.nerv.decoder import NervDecoder

    flags = ARCHITECTURES[arch]
    config = Config(flags, 3, 24, 40, 3, (2, 2), 2 if flags & CONTENT else 0, 16 * 12).check()
    embedding = torch.zeros(1, 2, *config.grid) if flags & CONTENT else None
    with FlopCounterMode(display=False) as counted:
        NervDecoder(config)(torch.zeros(1, dtype=torch.float64), embedding)
    assert multiplications(config) == pytest.approx(counted.get_total_flops() / 2, rel=0.05)


@pytest.mark.parametrize("size", [(360, 640, 1.5e6), (1080, 1920, 12e6), (2160, 3840, 64e6), (64, 64, 1e6)])
@pytest.mark.parametrize("arch", ["nerv", "hnerv-boost", "nerv++-boost"])
def test_what_encoders_fit_is_justified(arch: str, size: tuple[int, int, float]) -> None:
    """Networks of usual sizes, at a fifth of the least bits a parameter that there is an option for."""
    pytest.importorskip("torch")
    from math import prod

    from tessera.models.nerv.bounds import check_allowed
    from tessera.models.nerv.config import ARCHITECTURES, CONTENT, Config, choose_embedding, choose_strides, fit_width

    height, width, parameters = size
    flags, strides = ARCHITECTURES[arch], choose_strides(height, width)
    embedding = choose_embedding(height, width, prod(strides)) if flags & CONTENT else 0
    config = fit_width(Config(flags, 32, height, width, 3, strides, embedding, 16), parameters)
    check_allowed(config, 1, Allowance(int(parameters * 0.1 / 8), Cost(1 << 36, 1 << 50)))
    with pytest.raises(TooLarge, match="justify"):
        check_allowed(Config(31, 1, 1024, 1024, 3, (1,), 1, 4096), 1, Allowance(160, Cost(1 << 60, 1 << 60)))


@pytest.mark.needs("torch")
def test_one_frame_is_painted_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from tessera.models.nerv.painter import NetworkPainter

    clip = np.full((12, 16, 16, 3), 90, np.uint8)
    data = tessera.encode(clip, codec="nerv", quality=20, params=300, epochs=1)
    whole, painted = tessera.decode(data), 0
    real = NetworkPainter._paint

    def counted(self: NetworkPainter, *args: object) -> object:
        nonlocal painted
        painted += 1
        return real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(NetworkPainter, "_paint", counted)
    assert np.array_equal(tessera.decode(data, frames=(5, 7)), whole[5:7])
    assert painted == 2


# -- the command line --------------------------------------------------------------------------------------------------


def test_every_limit_is_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.tsr"
    path.write_bytes(tessera.encode(np.full((20, 20, 3), 90, np.uint8), codec="wavelet", quality=10))
    parser = argparse.ArgumentParser()
    options.add_limits(parser)
    for field in fields(tessera.Limits):
        limits = parser.parse_args([f"--limit-{field.name}", "7"]).limits
        assert limits == tessera.Limits(**{field.name: 7})
    assert parser.parse_args([]).limits == DEFAULT_LIMITS
    for command in (["decode", str(path), str(tmp_path / "a.png")], ["verify", str(path)], ["info", str(path)]):
        assert cli.main([*command, "--limit-pixels", "399"]) == 2
        assert "the limit is 399" in capsys.readouterr().err
        assert cli.main([*command, "--limit-pixels", "400"]) == 0
    assert cli.main(["decode", str(path), str(tmp_path / "b.png"), "--limit-work", "1K"]) == 2


@pytest.mark.parametrize(
    ("text", "number"), [("7", 7), ("64Ki", 65536), ("16GiB", 1 << 34), ("3M", 3_000_000), ("2e9", 2_000_000_000)]
)
def test_amounts(text: str, number: int) -> None:
    assert options.amount(text) == number


@pytest.mark.parametrize("text", ["", "0", "-1", "GiB", "3iB", "1Q", "nan"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        options.amount(text)
