"""Muon and Adam in one optimiser, for networks whose matrices and vectors need different steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .precision import multiplies_bf16

HALF_FROM = 1 << 21  # products a matrix product takes; below it bf16 costs more to call than it saves


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrix, roughly, by a quintic Newton-Schulz iteration.

    Of large matrices in bf16, where that is quick.
    """
    a, b, c = 3.4445, -4.7750, 2.0315  # pulls singular values from (0, 1] to about 0.7 .. 1.2
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    if len(x) * x.numel() >= HALF_FROM and multiplies_bf16(x.device.type):
        x = x.bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    result: Tensor = (x.T if tall else x).to(matrix.dtype)
    return result


class MuonAdam(torch.optim.Optimizer):
    """Groups with optimiser="muon" get momentum and orthogonalised updates (Jordan et al., 2024), the rest Adam.

    Muon's update is scaled by 0.2 * sqrt(largest side), which gives it the root mean square of a typical Adam step.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__(
            [{**g, "start_lr": g["lr"]} for g in groups], {"momentum": 0.95, "betas": (0.9, 0.99), "eps": 1e-8}
        )

    def schedule(self, factor: float) -> None:
        """Set every learning rate to `factor` times its start."""
        for group in self.param_groups:
            group["lr"] = group["start_lr"] * factor

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            update = self._muon if group["optimiser"] == "muon" else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update(parameter, parameter.grad, self.state[parameter], group)

    def _muon(self, parameter: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["momentum"] = torch.zeros_like(grad)
        momentum = state["momentum"].lerp_(grad, 1 - group["momentum"])
        ahead = grad.lerp(momentum, group["momentum"])
        matrix = ahead.reshape(ahead.shape[0], -1)
        scale = 0.2 * max(matrix.shape) ** 0.5
        parameter.sub_(orthogonalise(matrix).view_as(parameter), alpha=group["lr"] * scale)

    def _adam(self, parameter: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state.update(step=0, mean=torch.zeros_like(grad), square=torch.zeros_like(grad))
        state["step"] += 1
        beta1, beta2 = group["betas"]
        state["mean"].lerp_(grad, 1 - beta1)
        state["square"].lerp_(grad.square(), 1 - beta2)
        rate = group["lr"] / (1 - beta1 ** state["step"])
        root = (state["square"] / (1 - beta2 ** state["step"])).sqrt_().add_(group["eps"])
        parameter.addcdiv_(state["mean"], root, value=-rate)
