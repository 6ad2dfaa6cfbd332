"""Ids of a file: three forms and back, files of ids, masked batches, lost indices, and frames that are filled in."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tessera
from tessera.codec.coding.conceal import Concealer, Sound
from tessera.codec.coding.groups import Group, group_spec
from tessera.codec.coding.ports import DecoderPort
from tessera.codec.coding.stream import decode_groups
from tessera.codec.errors import LimitError, ParameterError
from tessera.codec.format.container import GroupData
from tessera.codec.format.pipe import PipeReader
from tessera.codec.limits import Limits
from tessera.codec.reading.ids import encode_ids, file_of_bytes
from tessera.data import MaskedIds, mask_ids, procedural
from tessera.models.base.family import GroupSpec, Symbols, TableIndices
from tessera.models.base.quality import fine
from tessera.models.vqgan.ids import IDS, MASK, VOCABULARY
from tessera.models.vqgan.stages import depths, full_quality, grid_of
from tessera.tools.cli import main

from ...support import toy_family
from ...support import vqgan_tiny as tiny

SIZE = (40, 56)


@pytest.fixture(scope="module", autouse=True)
def codec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        tiny.install(patch, tmp_path_factory.mktemp("weights"))
        yield


@pytest.fixture(scope="module")
def frames() -> np.ndarray:  # type: ignore[type-arg]
    return procedural.clip(6, *SIZE)


@pytest.fixture(scope="module")
def data(frames: np.ndarray) -> bytes:  # type: ignore[type-arg]
    return tessera.encode(frames, codec="vqgan", quality=70, gop=2, fps=25)


@pytest.fixture(scope="module")
def decoded(data: bytes) -> np.ndarray:  # type: ignore[type-arg]
    return tessera.decode(data)


# -- ids and back ------------------------------------------------------------------------------------------------------


def test_every_form_of_ids_gives_the_frames(data: bytes, decoded: np.ndarray) -> None:  # type: ignore[type-arg]
    with tessera.open(data) as clip:
        codes = clip.ids()
        assert codes.shape == (6, *grid_of(*SIZE, 16), IDS) and codes.dtype == torch.int64
        grid = clip.latents(3)
        assert grid.codes is not None and torch.equal(grid.codes, codes[3:])
        assert torch.equal(clip.ids(1, 4), codes[1:4])
        tokens, packed = clip.tokens(kind="ids"), clip.tokens(kind="packed")
        assert tokens.vocabulary == VOCABULARY and 0 <= int(tokens.sequence.min()) <= int(tokens.sequence.max())
        assert int(tokens.sequence.max()) < VOCABULARY and torch.equal(tokens.codes, codes)
        assert tokens.times.tolist() == pytest.approx([k / 25 for k in range(6)])
        for ids in (codes, tokens.sequence, packed, codes.numpy()):
            assert np.array_equal(clip.from_ids(ids), decoded)
        assert np.array_equal(clip.from_ids(codes[:1]), decoded[:1])


def test_row_16_packed_bytes_have_the_fixed_length(data: bytes) -> None:
    """Bytes of indices at fixed length, of the range coder, and of the file: each comes back exactly."""
    with tessera.open(data) as clip:
        packed = clip.tokens(kind="packed")
        deep = zip(depths(fine(70)), (32, 32, 16, 8, 8), strict=True)
        bits = sum(depth * np.prod(grid_of(*SIZE, stride)) for depth, stride in deep)
        assert packed.dtype == torch.uint8 and packed.shape == (6, -(-bits // 8))
        assert encode_ids(packed, clip, gop=2) == data
        whole = clip.tokens(kind="bytes")
        assert file_of_bytes(whole) == data and int(whole.max()) == 257
        sizes = [len(clip.payload(number)) for number in range(3)]
        assert sum(sizes) < len(data) < sum(sizes) + 175  # chunks, index, a copy of HEAD
        for wrong in (whole[1:], whole[:-1], whole * 2):
            with pytest.raises(ParameterError, match="ids of a file"):
                file_of_bytes(wrong)
        with pytest.raises(ParameterError, match="no file"):
            clip.tokens(0, 2, kind="bytes")
        with pytest.raises(ParameterError, match="no group 3"):
            clip.payload(3)


def test_ids_become_the_same_file(data: bytes) -> None:
    with tessera.open(data) as clip:
        tokens = clip.tokens(kind="ids")
        assert encode_ids(tokens.sequence, clip, gop=2) == data
        part = encode_ids(tokens.codes[2:5], clip)
        with tessera.open(part) as other:
            assert len(other) == 3 and torch.equal(other.ids(), tokens.codes[2:5])


def test_wrong_ids_are_named(data: bytes) -> None:
    with tessera.open(data) as clip:
        codes, sequence, packed = (
            clip.ids(0, 1),
            clip.tokens(0, 1, kind="ids").sequence,
            clip.tokens(0, 1, kind="packed"),
        )
        deep = codes.clone()
        deep[0, 0, 0, 2] = 3
        torn = codes.clone()
        torn[0, 0, 1, 0] ^= 1
        other = sequence.clone()
        other[0, -1] = 5
        cases = {
            "not in": (deep, other),
            "share an index": (torn,),
            "codes of a frame": (codes[:, 1:], codes.float()),
            "a frame has": (sequence[:, 1:], sequence.float()),
            "bytes": (packed[:, 1:],),
            "ids are codes": (codes[0], sequence[:0], torch.tensor(3)),
        }
        for words, wrong in cases.items():
            for ids in wrong:
                with pytest.raises(ParameterError, match=words):
                    clip.from_ids(ids)
        with pytest.raises(ParameterError, match="kind 'sounds'"):
            clip.tokens(kind="sounds")  # type: ignore[call-overload]
        with pytest.raises(ParameterError, match="no option budget"):
            clip.tokens(kind="ids", budget=3)  # type: ignore[call-overload]


def test_a_codec_without_codebooks_says_so(tmp_path: Path) -> None:
    data = tessera.encode(procedural.picture(16, 16), codec="wavelet")
    (tmp_path / "x.tsr").write_bytes(data)
    with tessera.open(data) as clip:
        for call in (clip.ids, lambda: clip.tokens(kind="packed"), lambda: clip.restore(torch.zeros(1, 1, 1) > 0)):
            with pytest.raises(ParameterError, match="wavelet has no codebooks"):
                call()
        assert file_of_bytes(clip.tokens(kind="bytes")) == data
    with pytest.raises(ParameterError, match="wavelet has no codebooks"):
        MaskedIds([tmp_path / "x.tsr"])[0]


@pytest.mark.parametrize("shape", [(1, 1), (17, 33), (17, 33, 1), (20, 20, 4)])
def test_pictures_of_any_kind(shape: tuple[int, ...]) -> None:
    """A picture is a clip of one frame; gray and alpha survive."""
    picture = np.resize(procedural.picture(32, 48), shape if len(shape) == 3 else (*shape, 3))
    data = tessera.encode(picture[..., 0] if shape[2:] == (1,) else picture, codec="vqgan", quality=100)
    out = tessera.decode(data)
    assert out.shape == (shape[:2] if shape[2:] == (1,) else picture.shape)
    with tessera.open(data) as clip:
        ids = clip.ids()
        assert len(clip) == 1 and np.array_equal(clip.from_ids(ids)[0, ..., :3], clip[0][..., :3])
        if shape[2:] == (4,):
            assert np.array_equal(out[..., 3], picture[..., 3])
            with pytest.raises(ParameterError, match="alpha"):
                encode_ids(ids, clip)
        else:
            assert encode_ids(ids, clip) == data


def test_a_size_is_met() -> None:
    picture = procedural.picture(96, 128)
    data = tessera.encode(picture, codec="vqgan", size=160)
    assert 100 < len(data) <= 160 and tessera.decode(data).shape == picture.shape


# -- rows of the catalogue ---------------------------------------------------------------------------------------------


def test_row_6_extreme_rates_from_nested_codebooks() -> None:
    """Depth is rate: files grow with quality, the smallest far below 0.04 bits per pixel; indices come back exactly."""
    picture = procedural.picture(192, 256)
    sizes = []
    for quality in (0, 3, 9, 25, 45):
        data = tessera.encode(picture, codec="vqgan", quality=quality)
        sizes.append(8 * len(data) / picture[..., 0].size)
        with tessera.open(data) as clip:
            assert encode_ids(clip.ids(), clip) == data
    assert sizes == sorted(sizes) and len(set(sizes)) > 3 and sizes[0] < 0.02


def test_row_35_mcquic() -> None:
    """As many passes whatever the size, bits that are -log2 p of every index, and fewer than at fixed length."""

    class Counting(DecoderPort):
        calls = 0

        def get(self, indices: TableIndices) -> Symbols:
            self.calls += 1
            return super().get(indices)

    family, found = tiny.trained(), []
    for height, width in ((64, 96), (128, 160)):
        frame = procedural.clip(2, height, width)[:1]
        data, spec = tiny.encode(family, frame, 6400)
        port = Counting(family.tables, data)
        grid = family.latents(spec, port)
        assert grid.bits is not None and grid.codes is not None
        found.append(port.calls)
        assert float(grid.bits.sum()) / 8 == pytest.approx(len(data), abs=24)
        if height == 64:
            assert len(data) < 0.9 * family.packed(grid.codes, spec).size
    assert found[0] == found[1] == 2 * 5 * 10


def test_row_70_violet(tmp_path: Path) -> None:
    """Masked batches come from files alone, and what is hidden can be learned from what is not."""
    paths = []
    for seed in range(2):
        paths.append(tmp_path / f"{seed}.tsr")
        paths[-1].write_bytes(tessera.encode(procedural.clip(2, 64, 96, seed=seed), codec="vqgan", quality=30, fps=25))
    torch.manual_seed(0)
    dataset = MaskedIds(paths, share=0.4)
    batch = next(iter(torch.utils.data.DataLoader(dataset, batch_size=2)))
    inputs, labels = batch["inputs"], batch["labels"]
    assert inputs.shape == labels.shape == (2, 2, 4, 6, IDS)
    with tessera.open(paths[1]) as clip:
        codes = clip.ids()
    hidden = labels[1] != -100
    assert torch.equal(torch.where(hidden, labels[1], inputs[1]), codes) and bool(hidden.any()) and not hidden.all()
    assert bool((inputs[1][hidden] == MASK).all()) and not bool((codes == MASK).any())
    assert torch.equal(hidden[:, ::2, ::2, 0], hidden[:, 1::2, 1::2, 0]), "no index of 1/32 shows beside a hidden cell"
    for share in (0.0, 1.0):
        given, told = mask_ids(codes, share, MASK)
        assert bool((told == -100).all()) if share == 0 else bool((given[codes > 0] == MASK).all())
    with pytest.raises(ValueError, match="even"):
        mask_ids(codes, 0.1, MASK, block=3)
    hits, majority = guessed(dataset)
    assert hits > majority + 0.1


def guessed(dataset: MaskedIds) -> tuple[float, float]:
    """How often a small model and the commonest answer name the first three turns of hidden indices of 1/32."""
    embed, mix, out = nn.Embedding(16, 16), nn.Conv2d(16, 32, 5, padding=2), nn.Conv2d(32, 8, 1)
    optimiser = torch.optim.Adam([*embed.parameters(), *mix.parameters(), *out.parameters()], 1e-2)

    def step() -> tuple[Tensor, Tensor]:
        items = [dataset[k] for k in range(len(dataset))]
        inputs = torch.cat([item["inputs"][..., 0] for item in items])
        labels = torch.cat([item["labels"][..., 0] for item in items])
        told = torch.where(inputs == MASK, 0, (inputs >> 7) & 15)  # nodes of depth 10: those of depth 3 above them
        wanted = torch.where(labels < 0, labels, (labels >> 7) & 7)
        return out(mix(embed(told).permute(0, 3, 1, 2)).relu()), wanted

    for _ in range(40):
        logits, wanted = step()
        optimiser.zero_grad()
        F.cross_entropy(logits, wanted).backward()
        optimiser.step()
    right = total = commonest = 0
    for _ in range(4):
        logits, wanted = step()
        there = wanted >= 0
        right += int((logits.argmax(1) == wanted)[there].sum())
        total += int(there.sum())
        commonest += int(wanted[there].bincount().max())
    return right / total, commonest / total


# -- what is lost ------------------------------------------------------------------------------------------------------


def test_erasures_of_cells_and_of_stages(data: bytes, decoded: np.ndarray) -> None:  # type: ignore[type-arg]
    rows, columns = grid_of(*SIZE, 16)
    mask = torch.zeros(6, rows, columns, dtype=torch.bool)
    with tessera.open(data) as clip:
        assert np.array_equal(clip.restore(mask), decoded)
        mask[3, 1, 1] = True
        out = tessera.decode(data, erasures=mask.numpy())
        changed = (out != decoded).any((1, 2, 3)).tolist()
        assert not any(changed[:3]) and changed[3] and out.shape == decoded.shape
        assert np.array_equal(tessera.decode(data, erasures=mask[3:5], frames=(3, 5)), out[3:5])
        assert np.array_equal(clip.restore(mask[3:5], 3, 5), out[3:5])
        stages = [torch.zeros(6, *grid_of(*SIZE, stride), dtype=torch.bool) for stride in (32, 32, 16, 8, 8)]
        stages[2][3, 1, 1] = True
        for stage in (3, 4):
            stages[stage][3, 2:4, 2:4] = True
        assert np.array_equal(clip.restore(stages), out)
        for wrong in (mask[:5], mask.float(), stages[:4], [stages[0]] * 5, 7, ["x"]):
            with pytest.raises(ParameterError):
                clip.restore(wrong)
    with pytest.raises(ParameterError, match="erasures go with"):
        tessera.decode(data, erasures=mask, conceal=True)


def test_a_coarse_index_is_lost_with_the_last_of_its_cells() -> None:
    family = tiny.family()
    spec = GroupSpec(1, 40, 48, 3, full_quality(4))  # cells 3 x 3, coarse 2 x 2
    mask = np.array([[[1, 1, 1], [1, 0, 1], [1, 1, 0]]]) > 0
    coarse, again, middle, fine, last = family.lost(mask, spec)
    assert coarse.tolist() == [[[False, True], [True, False]]] and np.array_equal(coarse, again)
    assert np.array_equal(middle, mask) and np.array_equal(fine, last) and fine.shape == (1, 5, 6)
    assert bool(fine[0, 0, 0]) and not bool(fine[0, 2, 2]) and bool(fine[0, 4, 0])


def damaged(data: bytes, *numbers: int) -> bytes:
    wrong = bytearray(data)
    with tessera.open(data) as clip:
        for number in numbers:
            entry = clip.reader.entries[number]
            assert entry.offset is not None
            wrong[entry.offset + entry.size - 6] ^= 0x55
    return bytes(wrong)


@pytest.mark.parametrize("numbers", [(1,), (0,), (2,), (0, 1), (1, 2)])
def test_damaged_groups_are_filled_in(data: bytes, decoded: np.ndarray, numbers: tuple[int, ...]) -> None:  # type: ignore[type-arg]
    wrong = damaged(data, *numbers)
    with pytest.raises(tessera.FormatError):
        tessera.decode(wrong)
    out = tessera.decode(wrong, conceal=True)
    sound = [k for k in range(6) if k // 2 not in numbers]
    assert out.shape == decoded.shape and np.array_equal(out[sound], decoded[sound])
    lost = [k for k in range(6) if k // 2 in numbers]
    source = lost[0] - 1 if lost[0] else lost[-1] + 1
    with tessera.open(data) as clip:
        head = clip.reader.header
        predicted = clip.family.predict(clip.ids()[source].numpy(), group_spec(head, len(lost), head.quality))  # type: ignore[attr-defined]
    assert np.array_equal(out[lost], predicted)
    warnings: list[str] = []
    groups = list(decode_groups(PipeReader(io.BytesIO(wrong)), tessera.DecodeOptions(conceal=True), warnings))
    assert np.array_equal(np.concatenate([group.pixels for group in groups]), out)
    ticks = [tick for group in groups for tick in group.times]
    assert ticks == sorted(set(ticks)) and len(ticks) == 6 and np.ptp(np.diff(ticks)) == 0
    assert any("filled in" in line for line in warnings) and any(f"group {numbers[0]}" in line for line in warnings)
    assert len(tessera.decode(wrong, partial=True)) == len(sound)


def test_a_range_of_a_damaged_file_looks_back(data: bytes, decoded: np.ndarray) -> None:  # type: ignore[type-arg]
    wrong = damaged(data, 1)
    whole = tessera.decode(wrong, conceal=True)
    assert np.array_equal(tessera.decode(wrong, conceal=True, frames=(2, 5)), whole[2:5])
    assert np.array_equal(tessera.decode(wrong, conceal=True, frames=(2, 4)), whole[2:4])


def test_other_codecs_repeat_the_last_frame(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    toy_family.install(monkeypatch)
    frames = np.concatenate([procedural.clip(8, 16, 24), np.full((8, 16, 24, 1), 200, np.uint8)], 3)
    data = tessera.encode(frames, codec="toy", gop=2, fps=25, quality=100)
    decoded = tessera.decode(data)
    out = tessera.decode(damaged(data, 1, 3), conceal=True)
    assert np.array_equal(out, decoded[[0, 1, 1, 1, 4, 5, 5, 5]])
    assert np.array_equal(tessera.decode(damaged(data, 0), conceal=True)[:3], decoded[[2, 2, 2]])
    with pytest.raises(tessera.FormatError, match="no frame"):
        tessera.decode(damaged(data, 0, 1, 2, 3), conceal=True)
    source, target = tmp_path / "bad.tsr", tmp_path / "out.npy"
    source.write_bytes(damaged(data, 1))
    assert main(["decode", str(source), str(target)]) != 0
    assert main(["decode", str(source), str(target), "--conceal"]) == 0
    assert np.array_equal(np.load(target)[..., :3], out[..., :3][[0, 1, 1, 1]].tolist() + decoded[4:, ..., :3].tolist())


def test_lost_frames_are_bounded_by_what_the_file_holds() -> None:
    limits = Limits(expansion=100, lost=1 << 21)
    limits.check_lost(1 << 20, 8, 8, 0)
    limits.check_lost((1 << 20) + 1, 8, 8, 1)
    with pytest.raises(LimitError, match="are lost"):
        limits.check_lost((1 << 20) + 2, 8, 8, 1)
    with pytest.raises(LimitError, match="limit of frames to fill in is 65536"):
        Limits().check_lost((1 << 16) + 1, 8, 8, 1 << 20)


def test_times_of_lost_frames_lie_between_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip of varying rate keeps its order; a lost group had times of its own, which are gone."""
    toy_family.install(monkeypatch)
    data = tessera.encode(procedural.clip(6, 16, 16), codec="toy", gop=2, fps=25)
    with tessera.open(data) as clip:
        filler = Concealer(clip.family, clip.reader, clip.limits, "standard", 0, None)
        unit = clip.reader.header.uniform(1)

        def sound(*times: int) -> Sound:
            return Sound(GroupData(0), Group(0, np.zeros((len(times), 1, 1, 3), np.uint8), None, list(times)))

        assert filler._times(2, 4, sound(0, unit), sound(4 * unit)) == [2 * unit, 3 * unit]
        for before, ahead in ((sound(0, 9 * unit), sound(9 * unit + 3)), (sound(5 * unit), None), (None, sound(unit))):
            times = filler._times(2, 4, before, ahead)
            assert times == sorted(set(times)) and len(times) == 2
            assert before is None or before.group.times[-1] < times[0]
            assert ahead is None or times[-1] < ahead.group.times[0]
