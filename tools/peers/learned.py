"""CompressAI's models as peers: the zoo's weights where they have been downloaded, random weights for speed alone."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np

from tessera.codec.errors import ParameterError, UnsupportedError
from tessera.codec.media.types import Pixels
from tessera.tools import options
from tessera.tools.peers.mend import mend_torchvision
from tessera.tools.peers.peer import Peer, PicturePeer

PREFIX = "compressai:"
_MULTIPLE = 64  # sides that CompressAI's models take


def zoo_peer(spec: str) -> PicturePeer:
    """`compressai:NAME` (every quality of the zoo) or `compressai:NAME@Q`, with the weights trained for MSE.

    UnsupportedError, with what to do, where CompressAI or the weights are absent.
    """
    name, _, quality = spec.removeprefix(PREFIX).partition("@")
    if importlib.util.find_spec("compressai") is None:
        raise UnsupportedError(f"{spec} needs the package compressai; pip install '.[peers]' brings it")
    mend_torchvision()
    from compressai.zoo import image

    urls = image.model_urls
    if name not in urls or "mse" not in urls[name]:
        raise ParameterError(f"{spec}: no model {name!r}; CompressAI has {', '.join(sorted(urls))}")
    known = urls[name]["mse"]
    if quality and (not quality.isdecimal() or int(quality) not in known):
        raise ParameterError(f"{spec}: quality is one of {', '.join(map(str, known))}")
    chosen = (int(quality),) if quality else tuple(known)
    for q in chosen:
        _need_weights(spec, str(known[q]))
    models: dict[int, Any] = {}

    def model(q: int) -> Any:
        if q not in models:
            models.clear()  # one at a time: a model is up to 100 MB
            models[q] = image.image_models[name](quality=q, metric="mse", pretrained=True).eval()
            models[q].update()
        return models[q]

    def encode(pixels: Pixels, q: float) -> bytes:
        return pack(int(q), pixels.shape[:2], _compress(model(int(q)), _padded(pixels)))

    def decode(data: bytes) -> Pixels:
        q, (height, width), coded = unpack(data)
        return _decompress(model(q), coded)[:height, :width]

    about = f"compressai.zoo.{name}(quality=Q, metric='mse', pretrained=True), strings and 10 bytes of sizes"
    return Peer(spec, "quality", tuple(map(float, chosen)), about, encode, decode, _version, step=0)


def _version() -> str:
    from importlib.metadata import version

    return f"compressai {version('compressai')}"


def _need_weights(spec: str, url: str) -> None:
    import torch

    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if not file.exists():
        raise UnsupportedError(
            f"{spec}: the weights are not on this machine ({file} is missing); with a network connection "
            f"`curl --create-dirs -o {file} {url}` brings them. Published curves need none: published:mbt2018-mean"
        )


def pack(quality: int, size: tuple[int, ...], coded: Any) -> bytes:
    """A compact file: quality, height and width, latent size, then every string after its length.

    CompressAI has no file format of its own in the package; this adds 6 + 4 bytes for each string but the last.
    """
    head = [quality, *size, *(int(n) for n in coded["shape"]), len(coded["strings"])]
    buffer = io.BytesIO()
    buffer.write(np.asarray(head, "<u2").tobytes())
    for (string,) in coded["strings"]:
        buffer.write(len(string).to_bytes(4, "little") + string)
    return buffer.getvalue()


def unpack(data: bytes) -> tuple[int, tuple[int, int], Any]:
    quality, height, width, rows, columns, count = np.frombuffer(data, "<u2", 6).tolist()
    strings, at = [], 12
    for _ in range(count):
        size = int.from_bytes(data[at : at + 4], "little")
        strings.append([data[at + 4 : at + 4 + size]])
        at += 4 + size
    return quality, (height, width), {"strings": strings, "shape": (rows, columns)}


def _padded(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, -height % _MULTIPLE), (0, -width % _MULTIPLE), (0, 0)), "edge")


def _compress(model: Any, pixels: Pixels) -> Any:
    import torch

    with torch.inference_mode():
        return model.compress(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255)


def _decompress(model: Any, coded: Any) -> Pixels:
    import torch

    with torch.inference_mode():
        x = model.decompress(coded["strings"], coded["shape"])["x_hat"]
        return np.asarray((x[0].permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).numpy())


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
        return _compress(self._model, pixels)

    def decode(self, coded: Any) -> Pixels:
        """What `encode` returned, back to uint8 (H, W, 3)."""
        return _decompress(self._model, coded)
