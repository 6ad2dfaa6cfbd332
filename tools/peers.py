"""Codecs to compare with, each at exact settings: JPEG, WebP, AVIF, JPEG XL, and CompressAI's models.

A peer turns a uint8 (H, W, 3) picture into the bytes of a file and back.  `PEERS` is the one list; `settings` go from
low rate to high.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tessera.codec.errors import UnsupportedError
from tessera.tools import options
from tessera.tools.metrics import Pixels


@dataclass(frozen=True)
class Peer:
    """A picture codec: `encode(pixels, setting)` makes a file's bytes, `decode` reads them.

    parameter   the name of what `settings` vary
    about       the settings that stay fixed, printed in reports
    version     the libraries that did it; measurements of another version are not reused
    """

    name: str
    parameter: str
    settings: tuple[float, ...]
    about: str
    encode: Callable[[Pixels, float], bytes]
    decode: Callable[[bytes], Pixels]
    version: Callable[[], str]


def _pillow_encode(kind: str, **fixed: Any) -> Callable[[Pixels, float], bytes]:
    def encode(pixels: Pixels, quality: float) -> bytes:
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, quality=int(quality), **fixed)
        return buffer.getvalue()

    return encode


def _pillow_decode(data: bytes) -> Pixels:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def _pillow_version(feature: str) -> Callable[[], str]:
    def version() -> str:
        import PIL
        from PIL import features

        found = features.version(feature)
        if found is None:
            raise UnsupportedError(f"this Pillow {PIL.__version__} is built without {feature}")
        return f"Pillow {PIL.__version__} {feature} {found}"

    return version


def _imagecodecs() -> Any:
    if importlib.util.find_spec("imagecodecs") is None:
        raise UnsupportedError("jpegxl needs the package imagecodecs, which is not installed")
    import imagecodecs

    return imagecodecs


def _jpegxl_encode(pixels: Pixels, distance: float) -> bytes:
    return bytes(_imagecodecs().jpegxl_encode(pixels, distance=distance, effort=7))


def _jpegxl_decode(data: bytes) -> Pixels:
    return np.asarray(_imagecodecs().jpegxl_decode(data), dtype=np.uint8)


def _jpegxl_version() -> str:
    return f"imagecodecs {_imagecodecs().__version__} {_imagecodecs().jpegxl_version()}"


PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(
            "jpeg",
            "quality",
            (10, 20, 30, 40, 50, 60, 70, 80, 90, 95),
            "4:2:0, optimised Huffman tables",
            _pillow_encode("JPEG", subsampling="4:2:0", optimize=True),
            _pillow_decode,
            _pillow_version("libjpeg_turbo"),
        ),
        Peer(
            "webp",
            "quality",
            (5, 15, 30, 50, 70, 80, 90, 95),
            "method 6",
            _pillow_encode("WEBP", method=6),
            _pillow_decode,
            _pillow_version("webp"),
        ),
        Peer(
            "avif",
            "quality",
            (10, 20, 30, 40, 50, 60, 70, 80),
            "libaom speed 4, tune psnr, 4:4:4, one thread",  # with more threads libaom's files differ
            _pillow_encode("AVIF", codec="aom", speed=4, subsampling="4:4:4", advanced={"tune": "psnr"}, max_threads=1),
            _pillow_decode,
            _pillow_version("avif"),
        ),
        Peer(
            "jpegxl",
            "distance",
            (15, 10, 6, 4, 2.5, 1.5, 1.0, 0.5),
            "effort 7",
            _jpegxl_encode,
            _jpegxl_decode,
            _jpegxl_version,
        ),
    )
}


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


class CompressAI:
    """The model bmshj2018-hyperprior of CompressAI at quality 3, with random weights: a peer for speed alone."""

    name = "compressai bmshj2018-hyperprior q3"

    def __init__(self) -> None:
        options.need_packages(("compressai",), "peers")
        mend_torchvision()
        import torch
        from compressai.zoo import bmshj2018_hyperprior

        torch.manual_seed(0)
        self._model = bmshj2018_hyperprior(quality=3, pretrained=False).eval()
        self._model.update()

    def encode(self, pixels: Pixels) -> Any:
        """uint8 (H, W, 3), sides multiples of 64, to CompressAI's strings and shape."""
        import torch

        with torch.inference_mode():
            x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
            return self._model.compress(x)

    def decode(self, coded: Any) -> Pixels:
        """What `encode` returned, back to uint8 (H, W, 3)."""
        import torch

        with torch.inference_mode():
            x = self._model.decompress(coded["strings"], coded["shape"])["x_hat"]
            return np.asarray((x[0].permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).numpy())
