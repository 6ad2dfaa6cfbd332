"""Sets of tokens as things that users move, cut, compare and store; the projector behind them."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tessera import ParameterError
from tessera.models.tokens import LayerSchedule, TokenSet, join, reduce, start
from tessera.models.tokens.modules.projector import Projector
from tessera.models.tokens.modules.schedule import pyramid

from ...support.token_samples import random_grid


def sets() -> dict[str, TokenSet]:
    """One of every shape that a set can have."""
    grid = random_grid(3, 4, 4, 8)
    every = start(grid)
    return {
        "every": every,
        "merged": reduce(grid, "tome", 12),
        "raster": reduce(grid, "pool", (3, 2, 2)),
        "coefficients": reduce(grid, "dct", 12),
        "fewer coefficients of a raster": reduce(grid, "dctgrid", (3, 2, 2)),
        "joined": join([reduce(grid, "pool", (3, 1, 1)), every]),
        "planned": pyramid(every, {1: 0.5, 2: 0.25}),
        "pooled later": replace(every, schedule=LayerSchedule(pool={1: (3, 2, 2)})),
        "looked at": replace(reduce(grid, "pool", 3), memory=every.x, query_dependent=True),
    }


@pytest.mark.parametrize("name", sets())
def test_a_set_comes_back_from_its_file(name: str, tmp_path: Path) -> None:
    tokens = sets()[name]
    tokens.save(tmp_path / "set.safetensors")
    back = TokenSet.load(tmp_path / "set.safetensors")
    assert back == tokens and torch.equal(back.unmerge(), tokens.unmerge())
    tokens.to(dtype=torch.bfloat16).save(tmp_path / "half.safetensors")
    assert TokenSet.load(tmp_path / "half.safetensors").x.dtype == torch.bfloat16


def test_files_that_hold_no_set_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.safetensors"
    path.write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="no safetensors"):
        TokenSet.load(path)
    save_file({"x": torch.zeros(2, 3)}, path)
    with pytest.raises(ValueError, match="lacks pos"):
        TokenSet.load(path)
    tokens = sets()["every"]
    harms: list[dict[str, Any]] = [{"assign": tokens.assign + 1}, {"x": tokens.x[1:]}]
    harms += [{"share": tokens.share[:3]}, {"times": tokens.x}]
    for harm in harms:
        replace(tokens, **harm).save(path)
        with pytest.raises(ValueError, match="damaged"):
            TokenSet.load(path)


def test_sets_are_equal_when_everything_is() -> None:
    tokens = sets()["looked at"]
    again = sets()["looked at"]
    assert tokens == again and tokens != sets()["every"] and tokens != 3
    for field in fields(TokenSet):
        value = getattr(again, field.name)
        other: Any = value + 1 if isinstance(value, torch.Tensor) else "other"
        assert replace(again, **{field.name: other}) != tokens, field.name
    assert tokens != tokens.to(dtype=torch.float64)
    planned = sets()["planned"]
    assert planned == sets()["planned"] and planned != pyramid(sets()["every"], {1: 0.5, 2: 0.5})
    with pytest.raises(TypeError, match="unhashable"):
        hash(tokens)


def test_slices_keep_rows_and_what_belongs_to_them() -> None:
    tokens = sets()["planned"]
    part = tokens[4:20]
    assert len(part) == 16 and torch.equal(part.x, tokens.x[4:20]) and torch.equal(part.index, tokens.index[4:20])
    assert int((part.assign >= 0).sum()) == 16 and part.lattice is None and float(part.weight.sum()) == pytest.approx(1)
    assert part.schedule is not None and tokens.schedule is not None
    for layer, rows in part.schedule.keep.items():
        wanted = [row - 4 for row in tokens.schedule.keep[layer].tolist() if 4 <= row < 20]
        assert rows.tolist() == wanted
    flags = torch.arange(len(tokens)) % 3 == 0
    assert tokens[flags] == tokens[flags.nonzero().squeeze(1)] == tokens[::3]
    assert tokens[:0].x.shape == (0, 8)
    for rows in (torch.tensor([2, 1]), torch.tensor([1, 1]), torch.tensor([48]), torch.tensor([True])):
        with pytest.raises(IndexError):
            tokens[rows]
    with pytest.raises(ParameterError, match="slice"):
        tokens[3]  # type: ignore[index]


def test_a_set_moves_as_a_whole() -> None:
    """On the device `meta` nothing has a value, so what stayed behind shows."""
    for name, tokens in sets().items():
        moved = tokens.to("meta", torch.bfloat16, non_blocking=True)
        assert moved.x.dtype == torch.bfloat16 and moved.pos.dtype == torch.float32
        assert moved.weight.dtype == torch.float32, "weights choose, they keep their digits"
        tensors = [moved.x, moved.assign, *moved.layers, *(moved.schedule.keep.values() if moved.schedule else ())]
        tensors += [moved.basis.cells] if moved.basis else []
        tensors += [moved.memory] if moved.memory is not None else []
        assert all(tensor.device.type == "meta" for tensor in tensors), name
        assert tokens.to("cpu") == tokens and tokens.to().x.data_ptr() == tokens.x.data_ptr()


def test_pinning_copies_every_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a device there is no pinned memory, so the call is watched."""
    pinned: list[torch.Tensor] = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        pinned.append(tensor)
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    tokens = sets()["joined"]
    copy = tokens.pin_memory()
    assert copy == tokens and copy.x.data_ptr() != tokens.x.data_ptr()
    assert len(pinned) == 10 + len(tokens.layers)


# -- the projector -----------------------------------------------------------------------------------------------------


def test_channels_that_were_dead_in_the_data_are_not_blown_up() -> None:
    """A channel without spread got a factor of a million: the first picture with something in it drowned the rest."""
    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([100.0, 1, 1, 1, 0, 1e-9])
    x[:, 4] += 7
    projector = Projector(6, 8)
    projector.fit_rows(x)
    even = (x - projector.mean) * projector.scale
    assert torch.allclose(even.std(0)[:4], torch.ones(4), atol=0.01) and float(even[:, 4].abs().max()) == 0
    assert float(projector.scale[4]) < 20 and float(projector.scale[5]) < 20
    spoken = x[:1].clone()
    spoken[0, 4] += 1
    assert float((projector(spoken) - projector(x[:1])).abs().max()) < 20
    projector.fit_rows(torch.full((3, 6), 5.0))
    assert torch.isfinite(projector.scale).all() and float(projector.scale.max()) <= 10
    with pytest.raises(ValueError, match="at least one token"):
        projector.fit_rows(torch.zeros(0, 6))


def test_statistics_stay_exact_in_bfloat16(tmp_path: Path) -> None:
    """A mean of 1000.5 would become 1000, which is half of what its channel varies by."""
    projector = Projector(2, 4)
    projector.fit_rows(torch.tensor([[1000.0, 1], [1001.0, 2]]))
    half = projector.to(torch.bfloat16)
    assert half.enter.weight.dtype == torch.bfloat16 and half.mean.tolist() == [1000.5, 1.5]
    found = half(torch.tensor([[1000.0, 1], [1001.0, 2]]))
    assert found.dtype == torch.bfloat16 and float((found[0] - found[1]).abs().max()) > 0.01
    half.save(tmp_path / "projector.safetensors")
    back = Projector.load(tmp_path / "projector.safetensors")
    assert back.enter.weight.dtype == torch.bfloat16 and back.mean.tolist() == [1000.5, 1.5]
    assert Projector(2, 4).to("meta").mean.device.type == "meta"
