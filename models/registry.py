"""The codec families: name -> wire id, written out, never reused.  Adding a family is one line in each table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from .base.family import Family

if TYPE_CHECKING:
    from .base.task import TrainingTask

FAMILIES: dict[str, int] = {"wavelet": 1, "spatiotemporal": 2, "vqgan": 3, "overfitted": 4, "nerv": 5}
HOLDING_NETWORKS = frozenset({"overfitted"})  # see `base.family.HoldsNetworks`
WITH_TORCH = frozenset({"nerv"})  # families that run on PyTorch, an extra of the package


def build(name: str, tensors: dict[str, NDArray[Any]], metadata: dict[str, str], device: str = "cpu") -> Family:
    """A family from its exported weights."""
    if name == "wavelet":
        from .wavelet.family import WaveletFamily

        return WaveletFamily(tensors, metadata)
    if name == "spatiotemporal":
        from .spatiotemporal.family import SpatiotemporalFamily

        return SpatiotemporalFamily(tensors, metadata)
    if name == "vqgan":
        from .vqgan.family import VqganFamily

        return VqganFamily(tensors, metadata)
    if name == "overfitted":
        from .overfitted.family import OverfittedFamily

        return OverfittedFamily(tensors, metadata)
    if name == "nerv":
        from .nerv.family import NervFamily

        return NervFamily(tensors, metadata, device)
    raise KeyError(name)


def task(name: str, **options: Any) -> TrainingTask:
    """A family's training task, with fresh weights."""
    if name == "wavelet":
        from .training.wavelet import WaveletTask

        return WaveletTask(**options)
    if name == "spatiotemporal":
        from .training.spatiotemporal import SpatiotemporalTask

        return SpatiotemporalTask(**options)
    if name == "dyadic":
        from .training.dyadic_stills import DyadicStillTask

        return DyadicStillTask(**options)
    if name == "vqgan":
        from .training.vqgan import VqganTask

        return VqganTask(**options)
    raise KeyError(name)
