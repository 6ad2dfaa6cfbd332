"""Networks in integers and the float networks that they come from, both ways; training with rounded weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tessera.models.engine.painter import Painter
from tessera.models.networks.quantising import peaks, quantised, restored
from tessera.models.networks.synthesis import Film, RoundedConv2d, SynthesisNetwork, round_weights, weight_scales

WORD_BITS, ANSWER_BITS = 10, 8
QUALITIES = (0, 700, 3300, 6400)


def network(width: int = 12, blocks: int = 2) -> SynthesisNetwork:
    """One that is not silent, with films that differ from quality to quality."""
    torch.manual_seed(5)
    made = SynthesisNetwork(7, 9, width, blocks)
    for module in made.modules():
        if isinstance(module, Film):
            torch.nn.init.normal_(module.table, std=0.3)
        elif isinstance(module, torch.nn.Conv2d):
            torch.nn.init.normal_(module.weight, std=1.5 / module.weight[0].numel() ** 0.5)
    return made.requires_grad_(False)


def words(seed: int) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-4000, 4000, (11, 14, 7)).astype(np.int16)


def as_floats(found: NDArray[np.int16]) -> torch.Tensor:
    return torch.from_numpy(found.astype(np.float32)).permute(2, 0, 1)[None] / (1 << WORD_BITS)


def integers(of: SynthesisNetwork) -> dict[str, NDArray[np.generic]]:
    samples = [(as_floats(words(k)), torch.tensor([quality])) for k, quality in enumerate(QUALITIES)]
    return quantised(of, peaks(of, samples), WORD_BITS, ANSWER_BITS)


def answers(of: SynthesisNetwork, quality: int) -> NDArray[np.float32]:
    found: torch.Tensor = of(as_floats(words(9)), torch.tensor([quality]))
    return found[0].permute(1, 2, 0).numpy()


def apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Mean difference as a part of the mean magnitude."""
    return float(np.abs(one - other).mean() / np.abs(other).mean())


@pytest.mark.parametrize("quality", QUALITIES)
def test_integers_answer_as_floats_with_rounded_weights(quality: int) -> None:
    """What is left beside the weights is rounding of activations: 12 bits of what a table reads, 14 between layers."""
    made = network()
    painted = Painter(integers(made))(words(9), quality) / (1 << ANSWER_BITS)
    round_weights(made, True)
    rounded = answers(made, quality)
    assert apart(painted, rounded) < 0.004
    round_weights(made, False)
    assert apart(painted, answers(made, quality)) > 2 * apart(painted, rounded)


def test_there_and_back() -> None:
    """Restored networks answer as their integers do, and have the same weights again."""
    arrays = integers(network())
    back = restored(arrays, WORD_BITS, ANSWER_BITS).requires_grad_(False)
    for quality in QUALITIES:
        painted = Painter(arrays)(words(9), quality) / (1 << ANSWER_BITS)
        assert apart(painted, answers(back, quality)) < 0.004
    again = integers(back)
    assert again.keys() == arrays.keys()
    assert all(np.array_equal(again[name], array) for name, array in arrays.items() if name.startswith("weights."))


def test_what_is_no_synthesis_network_is_refused() -> None:
    arrays = integers(network())
    with pytest.raises(ValueError, match="6 layers"):
        restored({**arrays, "plan": arrays["plan"][:-1]}, WORD_BITS, ANSWER_BITS)


def test_sums_stay_within_the_engine_s_bound() -> None:
    """Weights that are all alike would pass it with 127 units each."""
    made = network(128, 1)
    block = made.blocks[0]
    torch.nn.init.constant_(block.get_submodule("enter").get_parameter("weight"), 0.01)
    found = integers(made)["weights.1"]
    assert 0 < int(found.max()) < 127
    Painter(integers(made))  # checks the bound


def test_rounding_passes_gradients_straight_through() -> None:
    torch.manual_seed(0)
    conv = RoundedConv2d(3, 4, 3, padding=1)
    x = torch.randn(1, 3, 5, 6)
    grads = []
    for rounding in (False, True):
        round_weights(conv, rounding)
        (gradient,) = torch.autograd.grad(conv(x).sum(), conv.weight)
        grads.append(gradient)
    assert torch.allclose(grads[0], grads[1])
    units = conv.weight / weight_scales(conv.weight)[:, None, None, None]
    expected = torch.nn.functional.conv2d(
        x, torch.floor(units + 0.5) * weight_scales(conv.weight)[:, None, None, None], conv.bias, padding=1
    )
    assert torch.allclose(conv(x), expected, atol=1e-6)
    assert float(units.detach().abs().max()) == pytest.approx(127)
