"""From files to tokens: the command line, Clip.tokens, bytes, search that reads little."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open

import tessera
from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.codec.reading.tokens import description, group_bits, richest, search
from tessera.data import procedural
from tessera.entropy import Tables
from tessera.models.base.family import GroupSpec, Symbols, TableIndices
from tessera.models.base.quality import fine
from tessera.models.tokens import Bits, reduce
from tessera.tools.cli import main

from ..support import toy_family


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "clip.tsr"
    path.write_bytes(tessera.encode(procedural.clip(8, 64, 96), fps=25, gop=2))
    return path


def test_clip_tokens_and_only_the_groups_needed(clip_file: Path) -> None:
    with tessera.open(clip_file) as clip:
        tokens = clip.tokens(2, 4, reduce="tome", budget=40)
        assert len(tokens) == 40 and tokens.shape == (2, 8, 12)
        assert tokens.times.tolist() == pytest.approx([0.08, 0.12])
        assert clip.bytes_read < 0.5 * clip.info.bytes
        held = clip.tokens(reduce="bits", budget=Bits(2000, 300))
        assert len(held) <= 300 and len(clip.tokens(budget=0.25)) == 192
        with pytest.raises(tessera.ParameterError, match="there is no method 'tomme'"):
            clip.tokens(reduce="tomme")
        with pytest.raises(tessera.ParameterError, match="needs a query"):
            clip.tokens(reduce="query", budget=5)


@pytest.mark.parametrize("size", [(16, 16), (96, 160), (200, 104)])
def test_row_29_s2lic(size: tuple[int, int]) -> None:
    """Slices by a checkerboard: as many passes for every size, the latents come back, and context saves bits."""
    family, _ = weights.load("wavelet")
    pixels = procedural.picture(*size)[None]
    spec = GroupSpec(1, *size, 3, fine(50))
    encoder = EncoderPort(family.tables)
    family.encode(pixels, spec, encoder)
    data = encoder.finish()
    port = _Counting(family.tables, data)
    family.latents(spec, port)
    port.finish()
    low, details, slices = 1, 4 * 2, 6  # FORMAT.md section on order; two passes each but for the lowest band
    assert low + 2 * (details + slices) - port.empty <= port.calls <= low + 4 * (details + slices)
    assert port.symbols >= size[0] * size[1] * 125 // 64
    if size[0] > 16:
        integers = family.integers(spec, DecoderPort(family.tables, data))  # type: ignore[attr-defined]
        alone = sum(_entropy(band) for plane in integers for band in plane)
        assert 8 * len(data) < 0.95 * alone, "fewer bits than every band by its own histogram"


class _Counting:
    """Counts calls.  It lends no coder to the kernels, which would then make one call of a frame."""

    calls = symbols = empty = 0

    def __init__(self, tables: Tables, data: bytes) -> None:
        self._port = DecoderPort(tables, data)
        self.put, self.finish = self._port.put, self._port.finish

    def get(self, indices: TableIndices) -> Symbols:
        self.calls, self.symbols = self.calls + 1, self.symbols + len(indices)
        self.empty += len(indices) == 0
        return self._port.get(indices)


def _entropy(band: NDArray[np.int32]) -> float:
    """Bits of a band coded by its own histogram, which comes free."""
    _, counts = np.unique(band, return_counts=True)
    return float(-(counts * np.log2(counts / counts.sum())).sum())


def test_row_68_walloc_tokens_are_the_latents(clip_file: Path) -> None:
    """One token per cell of 64 pixels; dimensions in and out, and bits, are what the file says."""
    with tessera.open(clip_file) as clip:
        grid, tokens = clip.latents(0, 2), clip.tokens(0, 2)
        assert torch.equal(tokens.x, grid.x.flatten(0, 2))
        assert tokens.x.shape == (2 * 8 * 12, 128) and grid.x.shape[3] <= 64 * 3


@pytest.mark.parametrize("codec, gop, stops", [("wavelet", 1, True), ("wavelet", 3, True), ("spatiotemporal", 1, True),
                                               ("spatiotemporal", 4, True), ("vqgan", 2, False)])  # fmt: skip
def test_first_channels_are_those_of_all(codec: str, gop: int, stops: bool) -> None:
    """Whatever is left undecoded; `bits` are those of what was decoded, fewer where a family stops early.

    Dyadic frames are read to their ends.
    """
    with tessera.open(tessera.encode(procedural.clip(4, 72, 104), codec=codec, fps=25, gop=gop)) as clip:
        whole, channels = clip.latents(), clip.family.channels
        stops = stops and not (gop == 1 and "signs.sizes" in getattr(clip.family, "arrays", {}))
        assert whole.bits is not None
        for count in (1, 3, 4, 18, channels):
            some = clip.latents(channels=count)
            assert torch.equal(some.x, whole.x[..., :count]) and some.bits is not None
            assert (some.bits.sum() < whole.bits.sum()) == (stops and count < channels)
            assert torch.equal(clip.tokens(1, 3, channels=count).x, whole.x[1:3, ..., :count].flatten(0, 2))
        for wrong in (0, channels + 1):
            with pytest.raises(tessera.ParameterError, match=f"channels {wrong}: the latents of codec {codec} have"):
                clip.latents(channels=wrong)


def test_damage_is_found_before_channels_are_read() -> None:
    """No stream is read to its end for a few channels, but its checksum is tested first."""
    data = bytearray(tessera.encode(procedural.clip(2, 64, 96), codec="wavelet", fps=25))
    with tessera.open(bytes(data)) as clip:
        entry = clip.reader.entries[1]
        assert entry.offset is not None
        data[entry.offset + entry.size // 2] ^= 8
    with tessera.open(bytes(data)) as clip, pytest.raises(tessera.FormatError):
        clip.latents(channels=3)


def test_command_writes_safetensors(clip_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.safetensors"
    command = ["tokens", str(clip_file), str(out), "--reduce", "frames(budget=4) | tome", "--budget", "24", "--json"]
    assert main(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["tokens"] == 24 and report["cells"] == 8 * 8 * 12 and report["codec"] == "spatiotemporal"
    with safe_open(out, "pt") as file:
        assert file.get_tensor("x").shape == (24, 128)
        assert file.metadata()["reduce"] == "frames(budget=4) | tome"
        assert int(file.get_tensor("frame_splits").sum()) == 24
    assert main(command) == 2, "the file exists"
    assert "already exists" in (message := capsys.readouterr().err) or "--force" in message
    assert main([*command[:3], "--reduce", "tome", "--budget", "9", "--whiten", "--force"]) == 0
    assert "9 tokens of 768 cells" in capsys.readouterr().out
    assert main([*command[:3], "--frames", "2:4", "--budget", "1x4x4", "--reduce", "pool", "--force"]) == 0
    assert "16 tokens of 192 cells" in capsys.readouterr().out
    assert main([*command[:3], "--channels", "6", "--budget", "9", "--force"]) == 0
    assert "9 tokens of 768 cells, 6 channels" in capsys.readouterr().out


WRONG = (["--budget", "many"], ["--reduce", "tomme"], ["--reduce", "attn"], ["--frames", "90:"], ["--channels", "0"])


@pytest.mark.parametrize("words", WRONG)
def test_command_names_what_is_wrong(
    clip_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main(["tokens", str(clip_file), str(tmp_path / "x.safetensors"), "--budget", "8", *words]) == 2
    assert capsys.readouterr().err.startswith("tessera: ") and not list(tmp_path.iterdir())


def test_command_lists_the_registry(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokens", "--list"]) == 0
    text = capsys.readouterr().out
    assert "bipartite soft matching" in text and "DyMU" in text and "Fourier-VLM" in text
    assert main(["tokens", "--list", "--json"]) == 0
    assert {entry["name"] for entry in json.loads(capsys.readouterr().out)["methods"]} >= {"dct", "tome", "slowfast"}
    assert main(["tokens"]) == 2


def test_row_28_codebook_and_map_come_back_from_a_file(clip_file: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    with tessera.open(clip_file) as clip:
        tokens = clip.tokens(reduce="vq", budget=32)
    tokens.save(tmp_path / "vq.safetensors")
    back = load_file(tmp_path / "vq.safetensors")
    assert torch.equal(back["x"][back["assign"]].view(8, 8, 12, 128), tokens.unmerge())


def planted(count: int = 10_000) -> tuple[np.ndarray, list[int]]:  # type: ignore[type-arg]
    """A dull clip with a red tile in three single frames."""
    targets = [1234, 5678, 9012]
    frames = np.empty((count, 16, 16, 3), np.uint8)
    frames[:] = (110 + 8 * np.sin(np.arange(count) / 300)).astype(np.uint8)[:, None, None, None]
    for t in targets:
        frames[t, :8, :8] = (250, 10, 10)
    return frames, targets


def test_row_38_t_star(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """3 planted frames of 10,000 are found while less than a tenth of the file is read."""
    toy_family.install(monkeypatch)
    frames, targets = planted()
    path = tmp_path / "long.tsr"
    path.write_bytes(tessera.encode(frames, codec="toy", gop=16, fps=25))
    query = torch.tensor([250.0, 10.0, 10.0])
    with tessera.open(path) as clip:
        groups = len(clip.reader.entries)
        begun = clip.bytes_read
        found = search(clip, query, 16, reads=40)
        assert {t // 16 for t in targets} <= set(found) and len(found) == 16
        assert groups == 625 and clip.bytes_read - begun < 0.1 * (path.stat().st_size - begun)
        print(f"{clip.bytes_read} of {path.stat().st_size} bytes read, {begun} of them header and index")


def test_row_16_bytes_are_ids() -> None:
    """The ids of a file are its bytes; the same input gives the same file."""
    picture = procedural.picture(48, 64)
    data = tessera.encode(picture)
    ids = torch.tensor([256, *data, 257])
    assert bytes(ids[1:-1].tolist()) == data == tessera.encode(picture)
    assert np.array_equal(tessera.decode(bytes(ids[1:-1].tolist())), tessera.decode(data))


def test_row_63_lexiclip() -> None:
    """Files are found by their text; latents are not read and need not be there."""
    texts = ["a red kite over a field", "two boats in a harbour"]
    files = []
    for number, text in enumerate(texts):
        exif = Image.Exif()
        exif[270] = text
        blob = io.BytesIO()
        Image.fromarray(procedural.picture(128, 192, seed=number)).save(blob, "PNG", exif=exif)
        files.append(tessera.encode(blob.getvalue()))
    for data, text in zip(files, texts, strict=True):
        with tessera.open(data) as clip:
            start = clip.reader.body
            assert description(clip) == text and clip.bytes_read < 0.1 * len(data)
        with tessera.open(data[:start]) as clip:
            assert description(clip) == text and len(clip) == 0
    with tessera.open(tessera.encode(procedural.picture(16, 16))) as clip:
        assert description(clip) == ""


def test_row_66_any_frame_without_the_others(clip_file: Path) -> None:
    with tessera.open(clip_file) as clip:
        alone = clip.tokens(6, 7, reduce="pool", budget=4)
        assert clip.bytes_read < 0.5 * clip.info.bytes
        assert torch.equal(alone.x, clip.tokens(reduce="pool", budget=32).x[24:28])


def test_groups_are_chosen_before_decoding(clip_file: Path) -> None:
    """The index tells each group's bits; only what was chosen is read, and it is what a full read gives."""
    with tessera.open(clip_file) as clip:
        chosen = richest(clip, 2)
        spent = group_bits(clip)
        grids = [clip.latents(2 * number, 2 * number + 2) for number in chosen]
        assert clip.bytes_read < 0.7 * clip.info.bytes
        full = clip.latents()
        assert full.bits is not None
        real = full.bits.view(4, -1).sum(1)
        assert sorted(real.topk(2).indices.tolist()) == chosen
        assert all(torch.equal(grid.x, full.x[2 * n : 2 * n + 2]) for grid, n in zip(grids, chosen, strict=True))
        assert float((spent - real).abs().max()) < 200, "chunk heads and the coder's last bytes"


def test_constant_bits_are_said_to_choose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    toy_family.install(monkeypatch)
    with tessera.open(tessera.encode(np.full((2, 16, 16, 3), 128, np.uint8), codec="toy", fps=25)) as clip:
        grid = clip.latents()
    grid.bits = torch.full((2, 2, 2), 10.0)
    with pytest.warns(UserWarning, match="same everywhere"):
        reduce(grid, "bits", 2)
