"""Which processors multiply bfloat16 themselves; where one does not, PyTorch takes twice as long with it as without."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

NAMES = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # of x86 and of Arm, as PyTorch calls them


@cache
def multiplies_bf16(device: str) -> bool:
    """Whether networks in training are quicker in bfloat16 on a device of that type."""
    if device != "cpu":
        return True
    cpu: Any = torch.cpu
    if hasattr(cpu, "get_capabilities"):
        found = cpu.get_capabilities()
        return any(found.get(name, False) for name in NAMES)
    return bool(cpu._is_avx512_bf16_supported())  # PyTorch before 2.10
