"""Saved sets, projector, positions and adapter meet bad arguments and files with one error that names the culprit."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tessera import ParameterError
from tessera.models.tokens import TokenSet, join, reduce, start
from tessera.models.tokens.modules.projector import Projector
from tessera.models.tokens.modules.schedule import pyramid
from tessera.models.tokens.prompt.huggingface import embed, to_transformers
from tessera.models.tokens.prompt.kinds import ModelKind
from tessera.models.tokens.prompt.layout import lay_out
from tessera.models.tokens.prompt.vllm import to_vllm, to_vllm_prompt

from ...support.token_samples import random_grid

WIDTH, VIDEO = 8, 9
NAN = float("nan")


@pytest.fixture
def tokens() -> TokenSet:
    return start(random_grid(2, 3, 3, WIDTH))


class Model:
    """As much of a model of Hugging Face as the adapter needs."""

    config = SimpleNamespace(model_type="llama")

    def get_input_embeddings(self) -> Any:
        return torch.nn.Embedding(16, WIDTH)


def ones(*sides: int) -> torch.Tensor:
    return torch.ones(sides, dtype=torch.int64)


HARMS: list[tuple[str, Any, str]] = [
    ("x", torch.zeros(18), "x is .N, C."),
    ("x", torch.zeros(17, WIDTH), r"pos is \(17, 3\), not \(18, 3\)"),
    ("x", ones(18, WIDTH), "x holds numbers, not int64"),
    ("pos", torch.zeros(18, 2), r"pos is \(18, 3\)"),
    ("size", torch.zeros(18, dtype=torch.int64), "size holds 0 to 0; it is at least 1"),
    ("size", torch.ones(18), "size is int64, not float32"),
    ("weight", torch.ones(18, 1), "weight is"),
    ("index", ones(18) * 18, "index holds 18 to 18; it is at least -1 and below 18"),
    ("anchor", -ones(18), "anchor holds -1 to -1; it is at least 0"),
    ("assign", ones(18) * 18, "assign holds 18"),
    ("assign", torch.zeros(18), "assign is int64"),
    ("share", torch.zeros(3), "share is"),
    ("level", -ones(18), "level holds -1"),
    ("times", torch.zeros(3), "times is"),
    ("shape", torch.tensor([2, 3]), "shape is 3 numbers"),
    ("shape", torch.tensor([2, -3, -3]), "shape is 3 numbers of at least 1"),
    ("shape", torch.tensor([1 << 30, 1 << 30, 1 << 30]), "assign is"),
    ("shape", torch.tensor([2.0, 3.0, 3.0]), "shape is int64"),
    ("lattice", torch.tensor([2, 3, 4]), "lattice is a raster of 18 tokens"),
    ("memory", torch.zeros(3), "memory is"),
    ("query_dependent", torch.zeros(2), "query_dependent is one bool"),
    ("layers.x", ones(18), "layers.x: 'x' is no number"),
    ("layers.1", ones(18), "counted from 0"),
    ("layers.0", ones(18) * 18, "layers.0 holds 18"),
    ("schedule.keep.one", ones(1), "'one' is no number"),
    ("schedule.keep.1", torch.tensor([1, 1]), "schedule.keep.1 ascends"),
    ("schedule.keep.1", torch.tensor([18]), "schedule.keep.1 holds 18"),
    ("schedule.pool.1", torch.tensor([2]), "schedule.pool.1 is 3 numbers"),
]


@pytest.mark.parametrize(("name", "value", "message"), HARMS, ids=[f"{n}-{m[:20]}" for n, _, m in HARMS])
def test_files_of_damaged_sets_name_the_field(
    name: str, value: torch.Tensor, message: str, tokens: TokenSet, tmp_path: Path
) -> None:
    path = tmp_path / "set.safetensors"
    tokens.save(path)
    save_file({**load_file(path), name: value}, path)
    with pytest.raises(ParameterError, match=f"set.safetensors holds a damaged set of tokens: .*{message}"):
        TokenSet.load(path)


def test_coefficients_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.safetensors"
    for method, harms in (
        ("dct", {"full": torch.tensor([99, 99, 99]), "axes": torch.tensor([3]), "frequency": ones(12) * 48}),
        ("dctgrid", {"kept": torch.tensor([4, 2, 2]), "cells": -ones(48)}),
    ):
        reduce(random_grid(3, 4, 4, WIDTH), method, (3, 2, 2) if method == "dctgrid" else 12).save(path)
        sound = load_file(path)
        for name, value in harms.items():
            save_file({**sound, f"basis.{name}": value}, path)
            with pytest.raises(ParameterError, match="damaged set of tokens: basis"):
                TokenSet.load(path)
        save_file({key: value for key, value in sound.items() if key != "basis.cells"}, path)
        with pytest.raises(ParameterError, match="lacks basis.cells"):
            TokenSet.load(path)


def test_many_parts_are_read_in_order(tokens: TokenSet, tmp_path: Path) -> None:
    """Eleven parts: `layers.10` is behind `layers.2`."""
    many = join([tokens] * 12)
    many.save(tmp_path / "many")
    assert TokenSet.load(tmp_path / "many") == many


def test_files_that_are_not_there_are_named(tokens: TokenSet, tmp_path: Path) -> None:
    wrong: Any
    projector = Projector(WIDTH, 4)
    (tmp_path / "text").write_text("no tensors")
    save_file({"x": torch.zeros(2)}, tmp_path / "other")
    for wrong, message in (
        (lambda: TokenSet.load(tmp_path / "absent"), "absent: there is no such file"),
        (lambda: TokenSet.load(tmp_path), "there is no such file"),
        (lambda: TokenSet.load(tmp_path / "text"), "text is no safetensors file"),
        (lambda: TokenSet.load(3), "path is the name of a file, not int"),  # type: ignore[arg-type]
        (lambda: Projector.load(tmp_path / "absent"), "absent: there is no such file"),
        (lambda: Projector.load(tmp_path / "text"), "text is no safetensors file"),
        (lambda: Projector.load(tmp_path / "other"), "other holds no projector: its tensors are x"),
        (lambda: tokens.save(tmp_path / "no" / "where"), "where cannot be written"),
        (lambda: projector.save(tmp_path / "no" / "where"), "where cannot be written"),
    ):
        with pytest.raises(ParameterError, match=message):
            wrong()
    for name, value in (("enter.weight", torch.zeros(4)), ("mean", torch.zeros(3)), ("leave.bias", torch.zeros(5))):
        save_file({**projector.state_dict(), name: value}, tmp_path / "other")
        with pytest.raises(ParameterError, match=f"other holds no projector: .*{name}"):
            Projector.load(tmp_path / "other")


def test_a_file_is_whole_or_as_it_was(tokens: TokenSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "set.safetensors"
    tokens.save(path)

    def full(tensors: Any, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(ParameterError, match="no space left"):
        tokens.draft(3).save(path)
    assert TokenSet.load(path) == tokens and [file.name for file in tmp_path.iterdir()] == ["set.safetensors"]


def test_projectors_name_the_argument(tokens: TokenSet) -> None:
    projector = Projector(WIDTH, 4)
    wrong: Any
    for wrong, message in (
        (lambda: Projector(0, 4), "channels is at least 1"),
        (lambda: Projector(8, 4.0), "width is a whole number"),  # type: ignore[arg-type]
        (lambda: Projector(8, 4, 0), "hidden is at least 1"),
        (lambda: projector.fit_scale([]), "sets are empty"),
        (lambda: projector.fit_scale(tokens), "sets are a list of TokenSet"),  # type: ignore[arg-type]
        (lambda: projector.fit_scale([tokens, start(random_grid(1, 2, 2, 5))]), "tokens of set 1 is .*, 8., as"),
        (lambda: projector.fit_rows(torch.zeros(0, WIDTH)), "at least one token"),
        (lambda: projector.fit_rows(torch.zeros(WIDTH)), "x is .N, C."),
        (lambda: projector.fit_rows(torch.full((3, WIDTH), NAN)), "x holds NaN"),
        (lambda: projector(torch.zeros(3, 7)), r"x is .*, 8., as the projector's channels, not .3, 7."),
        (lambda: projector(ones(3, WIDTH)), "x is a float tensor"),
        (lambda: projector([1.0]), "x is a float tensor"),
    ):
        with pytest.raises(ParameterError, match=message):
            wrong()


def test_positions_and_prompts_name_the_argument(tokens: TokenSet) -> None:
    kind, one, model = ModelKind("plain", (VIDEO,), VIDEO), torch.tensor([1, VIDEO, 2]), Model()
    other = start(random_grid(1, 2, 2, 5))
    batch = {"input_ids": one[None], "attention_mask": ones(1, 3), "position_ids": ones(1, 3)}
    listed: Any = lambda x: [1]  # noqa: E731
    batch |= {"places": one[None] == VIDEO, "vision": tokens.x[:1]}
    wrong: Any
    for wrong, message in (
        (lambda: tokens.position_ids("2d"), "scheme is mrope, 1d, v2pe, shared or scaled, not '2d'"),
        (lambda: tokens.position_ids("v2pe", strid=0.5), "position scheme v2pe has no option 'strid'; it has"),
        (lambda: tokens.position_ids("1d", stride=0.5), "position scheme 1d has no option 'stride'"),
        (lambda: tokens.position_ids("v2pe", stride=NAN), "stride is a finite number"),
        (lambda: tokens.position_ids("shared", n_pos=0), "n_pos is at least 1"),
        (lambda: tokens.position_ids("scaled", factor=-1), "factor is above 0"),
        (lambda: tokens.position_ids(scale=0), "scale is above 0"),
        (lambda: tokens.position_ids(per_second="4"), "per_second is a number"),
        (lambda: tokens.position_ids(dtype="float32"), "dtype float32 cannot"),
        (lambda: lay_out(one.float(), [tokens], kind), "ids holds whole numbers, not float32 .3,."),
        (lambda: lay_out("text", [tokens], kind), "ids holds whole numbers"),  # type: ignore[arg-type]
        (lambda: lay_out(one, [], kind), "tokens are an empty list"),
        (lambda: lay_out(one, [tokens.x], kind), "tokens are a TokenSet or a list of them, not Tensor"),  # type: ignore[list-item]
        (lambda: lay_out(one.repeat(2), [tokens, other], kind), r"equal channels, not .5, 8."),
        (lambda: lay_out(one, [tokens], kind, [1.0, 2.0]), "scale names 2 numbers for 1 sets"),
        (lambda: lay_out(one, [tokens], kind, -1.0), "scale is above 0"),
        (lambda: lay_out(one, [tokens], kind, 1.0, NAN), "per_second is a finite number"),
        (lambda: tokens.to_transformers(one, model, tokn_id=9), "no option 'tokn_id'; it has per_second, scale"),
        (lambda: tokens.to_transformers(one, 3, token_id=9), "model is a model of Hugging Face, not int"),
        (lambda: tokens.to_transformers(one, model), "llama has no placeholder of its own; name one by token_id"),
        (lambda: tokens.to_transformers(one, model, token_id=9.0), "token_id is a whole number"),
        (lambda: tokens.to_transformers(one.repeat(2, 1), model, token_id=9), "ids are of one prompt, not of 2"),
        (lambda: to_transformers([], one, model, token_id=9), "tokens are an empty list"),
        (lambda: tokens.to_transformers(one, model, lambda x: x[:3], token_id=9), "each of 18 tokens"),
        (lambda: tokens.to_transformers(one, model, listed, token_id=9), "not list"),
        (lambda: tokens.to_transformers(one, model, 3, token_id=9), "projector is a module or a function"),  # type: ignore[arg-type]
        (lambda: tokens.to_transformers(one, model, lambda x: x[:, :5], token_id=9), "a projector is needed"),
        (lambda: embed({}, model, None, kind), "batch lacks input_ids"),
        (lambda: embed({**batch, "vision": tokens.x.numpy()}, model, None, kind), "vision is float32"),
        (lambda: ModelKind.of({"model_type": "llama"}, 3), "config is that of a model of Hugging Face, not dict"),
        (lambda: to_vllm(tokens, 3), "config is that of a model"),
        (lambda: to_vllm(tokens.x, 3), "tokens are a TokenSet"),  # type: ignore[arg-type]
        (lambda: to_vllm_prompt({"position_ids": one}), "inputs lacks inputs_embeds"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=message):
            wrong()


def test_sets_are_cut_by_slices_and_tensors_alone(tokens: TokenSet) -> None:
    for rows in (3, [1, 2], "all", torch.zeros(2, 2)):
        with pytest.raises(ParameterError, match="rows are a slice or a tensor of one axis"):
            tokens[rows]  # type: ignore[index]
    with pytest.raises(ParameterError, match="rows are a slice or a tensor"):
        tokens[torch.tensor([0.5])]
    assert pyramid(tokens, {1: 0.5}).schedule is not None
