"""What executors are given: padding changes nothing, batches and arguments that cannot be carried out are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tessera import ParameterError
from tessera.models.tokens.executors import (
    Following,
    LowBits,
    Masked,
    Ranked,
    Skipping,
    Unmerged,
    fastv,
    feather,
    pyramid_drop,
    speculate,
)
from tessera.models.tokens.executors.hooks import Executor
from tessera.models.tokens.modules.schedule import drop_after, layer_masks
from tessera.models.tokens.prompt.layout import lay_out
from tessera.models.tokens.types import LayerSchedule

pytest.importorskip("transformers", reason="pip install 'tessera-codec[vlm]' brings transformers")

from .test_executors import COUNT, IDS, LAYERS, Stand  # noqa: E402  (skipped itself without transformers)
from .test_executors import stand as stand

PAD = 3
NAN = float("nan")


def twice(stand: Stand) -> dict[str, Tensor]:
    axes = {name: 1 if name == "position_ids" and value.dim() == 3 else 0 for name, value in stand.inputs.items()}
    return {name: torch.cat([value, value], axes[name]) for name, value in stand.inputs.items()}


def padded(inputs: dict[str, Any], front: int = PAD, behind: int = 0) -> dict[str, Any]:
    """One prompt as it stands in a batch with longer ones; what is in the padding must not matter."""
    sides, pad = (front, behind), torch.nn.functional.pad
    embeds = pad(inputs["inputs_embeds"], (0, 0, *sides), value=5.0)
    mask = pad(inputs["attention_mask"], sides)
    return {"inputs_embeds": embeds, "attention_mask": mask, "position_ids": pad(inputs["position_ids"], sides)}


EXECUTORS: dict[str, Callable[[Stand, Tensor], Executor]] = {
    "fastv": lambda stand, places: fastv(places, 2, 0.5),
    "pyramid_drop": lambda stand, places: pyramid_drop(places, {1: 0.7, 3: 4}),
    "feather": lambda stand, places: feather(places, 1, 0.7, 3, 0.3),
    "following": lambda stand, places: Following(places, drop_after(stand.tokens, 2).schedule or LayerSchedule()),
    "skipping": lambda stand, places: Skipping(
        places, layer_masks(torch.arange(float(COUNT)), [1.0, 0.5, 0.2, 0.4][:LAYERS])
    ),
    "masked": lambda stand, places: Masked(places, local_mask(places), forget=False),
    "low bits": lambda stand, places: LowBits(places, 0.6, 8, 2),
    "unmerged": lambda stand, places: Unmerged(places, torch.arange(COUNT), all_cells(stand, places)),
}


def local_mask(places: Tensor) -> Tensor:
    """Text behind the vision tokens does not see the first half of them."""
    mask = torch.ones(len(places), len(places), dtype=torch.bool).tril()
    vision = places.nonzero().squeeze(1)
    mask[int(vision[-1]) + 1 :, vision[: COUNT // 2]] = False
    return mask


def all_cells(stand: Stand, places: Tensor) -> Tensor:
    positions = lay_out(IDS, [stand.tokens], stand.kind).positions
    return torch.nn.functional.pad(positions, (len(places) - positions.shape[-1], 0))


@pytest.mark.parametrize("name", EXECUTORS)
def test_padding_in_front_changes_nothing(stand: Stand, name: str) -> None:
    made = EXECUTORS[name]
    places = torch.nn.functional.pad(stand.places, (PAD, 0))
    plain = stand.generate(made(stand, stand.places))
    shifted = stand.generate(made(stand, places), padded(stand.inputs))
    assert torch.equal(shifted[0], plain[0])
    assert torch.allclose(shifted[1], plain[1], atol=1e-4)
    assert not torch.allclose(plain[1], stand.generate()[1], atol=1e-4) or name == "unmerged", "it does something"


def test_speculation_reads_padded_prompts(stand: Stand) -> None:
    few, _ = stand.prompt(stand.tokens.draft(6))
    plain = speculate(stand.model, stand.inputs, few, 8, ahead=3)
    found = speculate(stand.model, padded(stand.inputs), padded(few), 8, ahead=3)
    assert torch.equal(found.ids, plain.ids) and found.accepted == plain.accepted


@pytest.mark.parametrize("name", EXECUTORS)
def test_batches_are_refused(stand: Stand, name: str) -> None:
    """A batch has no one result: layers compute other rows for every prompt.  One by one they run, see above."""
    executor = EXECUTORS[name](stand, stand.places)
    with pytest.raises(ParameterError, match="one prompt at a time, not 2: run them one by one"):
        stand.logits(twice(stand), executor)
    with pytest.raises(ParameterError, match="one prompt at a time"):
        stand.logits({name: value for name, value in twice(stand).items() if name != "attention_mask"}, executor)
    assert float((stand.logits() - stand.logits()).abs().max()) == 0, "hooks are gone"


def test_what_cannot_be_carried_out_is_refused(stand: Stand) -> None:
    places, inputs = stand.places, stand.inputs
    positions = all_cells(stand, places)
    behind = padded(inputs, 0, PAD)
    longer = torch.nn.functional.pad(places, (0, PAD))
    causal = torch.ones(len(places), len(places), dtype=torch.bool).tril()
    blind = causal.clone()
    blind[2] = False
    wrong: Any
    for wrong, message in (
        (lambda: Executor(torch.arange(3)), "places is bool with 1 axes, not int64 .3,."),
        (lambda: Executor(places[None].repeat(2, 1)), "places are bool .L,., of one prompt: give places.0."),
        (lambda: fastv(None), "places is bool with 1 axes, not None"),  # type: ignore[arg-type]
        (lambda: Following(places, {1: [0]}), "schedule is a LayerSchedule"),  # type: ignore[arg-type]
        (lambda: Following(places, LayerSchedule(pool={1: (1, 1, 1)})), "pooling"),
        (lambda: following(places, 1, torch.tensor([COUNT])), f"row {COUNT} of {COUNT}"),
        (lambda: following(places, 1, torch.tensor([0.5])), "rows that layer 1 keeps holds whole numbers"),
        (lambda: following(places, 1, torch.tensor([-1])), "ascend from 0"),
        (lambda: following(places, 1, torch.tensor([2, 1])), "ascend from 0"),
        (lambda: following(places, -1, torch.tensor([1])), "layer is at least 0"),
        (lambda: stand.logits(executor=following(places, LAYERS, torch.tensor([1]))), "last layer is 3"),
        (lambda: Skipping(places, torch.ones(LAYERS, 3, dtype=torch.bool)), "for 3 tokens"),
        (lambda: Skipping(places, torch.ones(LAYERS, COUNT)), "masks is bool with 2 axes, not float32"),
        (lambda: stand.logits(executor=Skipping(places, torch.ones(2, COUNT) > 0)), "for 2 layers, the model has 4"),
        (lambda: fastv(places, 0), "layer is at least 1, not 0"),
        (lambda: fastv(places, 1.5), "layer is a whole number"),  # type: ignore[arg-type]
        (lambda: fastv(places, 2, NAN), "keep of layer 2 is a finite number"),
        (lambda: fastv(places, 2, 1.5), "keep of layer 2 is a share of 0 to 1, not 1.5"),
        (lambda: fastv(places, 2, -3), "keep of layer 2 is at least 0, not -3"),
        (lambda: fastv(places, 2, True), "keep of layer 2 is a number, not True"),
        (lambda: stand.logits(executor=fastv(places, 9)), "layer 9 is to drop tokens, the model's last layer is 3"),
        (lambda: Ranked(places, [2]), "stages name a share for each layer"),  # type: ignore[arg-type]
        (lambda: Ranked(places, {1: 0.5}, even=2.0), "even is a share"),
        (lambda: Ranked(places, {1: 0.5}, position_free=1), "position_free is True or False"),  # type: ignore[arg-type]
        (lambda: feather(places, 2, 0.5, 2, 0.2), "late is layer 2 and follows early, which is layer 2"),
        (lambda: Masked(places, torch.ones(3, 3, dtype=torch.bool)), "the mask is"),
        (lambda: Masked(places, causal.float()), "mask is bool with 2 axes"),
        (lambda: Masked(places, blind), "mask: every row needs something"),
        (lambda: LowBits(places, 0.5, 2, 8), "no less than low"),
        (lambda: LowBits(places, 0.0), "mass is above 0"),
        (lambda: LowBits(places, 1.5), "mass is a share"),
        (lambda: LowBits(places, 0.5, 8.5), "high is a whole number"),  # type: ignore[arg-type]
        (lambda: Unmerged(places, torch.tensor([-1]), positions), "every cell needs a token"),
        (lambda: Unmerged(places, torch.arange(COUNT), positions[:, 1:]), "with all cells has"),
        (lambda: Unmerged(places, torch.arange(COUNT), positions.float()), "positions holds whole numbers"),
        (lambda: Unmerged(places & False, torch.arange(COUNT), positions), "places or assign are empty"),
        (lambda: stand.logits(executor=fastv(places[1:])), "places are of a prompt of"),
        (lambda: stand.logits(behind, fastv(longer)), "ends with padding: pad in front"),
        (lambda: nested(stand), "model has an executor already"),
        (lambda: fastv(places).on(object()).__enter__(), "model is a decoder model of Hugging Face, not object"),
        (lambda: speculate(stand.model, twice(stand), inputs, 3), "inputs are of one prompt, not of 2"),
        (lambda: speculate(stand.model, inputs, twice(stand), 3), "draft_inputs are of one prompt, not of 2"),
        (lambda: speculate(stand.model, inputs, behind, 3), "draft_inputs end with padding"),
        (lambda: speculate(stand.model, inputs, {}, 3), "draft_inputs lacks inputs_embeds, attention_mask"),
        (lambda: speculate(stand.model, [], inputs, 3), "inputs is a dictionary"),  # type: ignore[arg-type]
        (lambda: speculate(stand.model, inputs, inputs, 0), "steps is at least 1"),
        (lambda: speculate(stand.model, inputs, inputs, 3, ahead=1.5), "ahead is a whole"),  # type: ignore[arg-type]
        (lambda: speculate(stand.model, inputs, inputs, 3, stop="end"), "stop is a whole"),  # type: ignore[arg-type]
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=message):
            wrong()
    assert torch.equal(stand.logits(executor=fastv(places, 2, COUNT)), stand.logits()), "whole numbers are counts"
    one = fastv(places, 2, 1)
    stand.logits(executor=one)
    assert len(one.kept[2]) == 1


def following(places: Tensor, layer: int, rows: Tensor) -> Following:
    return Following(places, LayerSchedule(keep={layer: rows}))


def nested(stand: Stand) -> None:
    with fastv(stand.places).on(stand.model), fastv(stand.places).on(stand.model):
        pass
