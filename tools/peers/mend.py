"""Lets packages that import torchvision be imported beside a torch that torchvision was not built for."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

_KEPT: list[Any] = []  # a torch.library.Library undoes its definitions when it is collected


def mend_torchvision() -> None:
    """Make `import torchvision` (and so compressai and lpips) work beside a torch that its extension does not fit.

    torchvision's wheels link to one build of torch.  Beside another (a CPU-only torch, say) its extension does not
    load and the import fails because the operator `torchvision::nms` is unknown.  Nobody here calls that operator:
    declaring it is enough.  Where the extension loads, it declares the operator itself and nothing is done.
    """
    import torch

    spec = importlib.util.find_spec("torchvision")
    if _KEPT or spec is None or spec.origin is None:
        return
    for extension in Path(spec.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(extension)
        except OSError:
            continue  # does not fit this torch, as described
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)
