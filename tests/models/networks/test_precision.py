"""bfloat16 is used where the processor multiplies it, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tessera.models.networks import optim, precision, synthesis


def network() -> tuple[synthesis.SynthesisNetwork, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    made = synthesis.SynthesisNetwork(6, 5, 16, 1)
    torch.nn.init.normal_(made.leave.weight)
    return made, torch.randn(1, 6, 8, 8), torch.tensor([3000])


@pytest.mark.parametrize("quick", [False, True])
def test_products_follow_the_processor(quick: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (synthesis, optim):
        monkeypatch.setattr(module, "multiplies_bf16", lambda kind: quick)
    made, words, quality = network()
    exact = made(words, quality)
    assert torch.equal(made.corrections(words, quality, bf16=False), exact)
    found = made.corrections(words, quality, bf16=True)
    assert found.dtype == torch.float32 and torch.equal(found, exact) != quick
    torch.testing.assert_close(found, exact, rtol=0.1, atol=0.2)
    matrix = torch.randn(160, 160)
    rounded = torch.equal(optim.orthogonalise(matrix), optim.orthogonalise(matrix).bfloat16().float())
    assert rounded == quick


def test_the_processor_says_so_itself() -> None:
    """As /proc/cpuinfo lists what it can do."""
    info = Path("/proc/cpuinfo")
    if not info.exists() or "flags" not in info.read_text():
        pytest.skip("needs the flags of an x86 processor under Linux")
    flags = next(line for line in info.read_text().splitlines() if line.startswith("flags")).split()
    assert precision.multiplies_bf16("cpu") == ("avx512_bf16" in flags or "amx_bf16" in flags)
    assert precision.multiplies_bf16("cuda")
