"""Rate-distortion of a model in training, on whole held-out pictures, beside JPEG and WebP."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tessera.tools.measuring import bdrate
from tessera.tools.measuring.metrics import psnr

if TYPE_CHECKING:
    from tessera.codec.media.types import Pixels

PEERS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "JPEG": ((10, 20, 35, 50, 70, 85, 95), {"optimize": True, "subsampling": "4:2:0"}),
    "WEBP": ((5, 15, 30, 50, 70, 85, 95), {"method": 6}),
}


@dataclass(frozen=True)
class Report:
    """Mean (bpp, PSNR) per quality, BD-rates against the peers in percent, and a sample: original beside decoded."""

    curve: list[bdrate.Point]
    scalars: dict[str, float]
    sample: Tensor


class Validation:
    """Held-out pictures, uint8 (3, H, W), and the peers' curves on them, measured once.

    Without the package that compares curves there are no peers, and no BD-rates.
    """

    def __init__(self, pictures: Sequence[Tensor], qualities: Sequence[int]) -> None:
        self.pictures, self.qualities = pictures, qualities
        self.peers = {
            kind: [self._mean(partial(_peer, kind, setting, options)) for setting in settings]
            for kind, (settings, options) in PEERS.items()
            if importlib.util.find_spec("bjontegaard")
        }

    def measure(self, code: Callable[[Tensor, int], tuple[float, Tensor]], device: str) -> Report:
        """`code` takes a picture (1, 3, H, W) and an integer quality to its bits per pixel and its reconstruction."""

        def point(quality: int, picture: Tensor) -> bdrate.Point:
            rate, back = code(picture[None].float().to(device), quality)
            return rate, psnr(_array(picture), _array(back[0].cpu().to(torch.uint8)))

        curve = [self._mean(partial(point, quality)) for quality in self.qualities]
        scalars = {}
        for kind, peer in self.peers.items():
            found = bdrate.compare("model", curve, kind, peer, "psnr").akima
            if found is not None:
                scalars[f"bdrate_{kind.lower()}"] = round(found, 2)
        _, shown = code(self.pictures[0][None].float().to(device), self.qualities[1])
        sample = torch.cat([self.pictures[0].float(), shown[0].cpu()], 2) / 255
        return Report([(round(r, 4), round(p, 3)) for r, p in curve], scalars, sample)

    def _mean(self, point: Callable[[Tensor], bdrate.Point]) -> bdrate.Point:
        rate, quality = np.mean([point(picture) for picture in self.pictures], 0)
        return float(rate), float(quality)


def _array(picture: Tensor) -> Pixels:
    return picture.permute(1, 2, 0).numpy()


def _peer(kind: str, setting: int, options: dict[str, Any], picture: Tensor) -> bdrate.Point:
    blob = io.BytesIO()
    Image.fromarray(_array(picture)).save(blob, kind, quality=setting, **options)
    back = np.array(Image.open(blob).convert("RGB"))
    return len(blob.getvalue()) * 8 / picture[0].numel(), psnr(_array(picture), back)
