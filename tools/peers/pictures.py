"""Picture codecs that come as Python packages: JPEG, WebP and AVIF of Pillow, JPEG XL of imagecodecs."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from typing import Any

import numpy as np

from tessera.codec.errors import ParameterError, UnsupportedError
from tessera.codec.media.types import Pixels
from tessera.tools.peers.peer import Options, Peer, PicturePeer, filled, parse

# -- codecs inside Pillow ----------------------------------------------------------------------------------------------

_PILLOW_CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "jpeg": {"subsampling": ("4:2:0", "4:4:4", "4:2:2")},
    "webp": {"method": tuple("6012345")},
    "avif": {
        "speed": ("4", *(str(i) for i in range(11) if i != 4)),
        "tune": ("psnr", "ssim", "default"),
        "subsampling": ("4:4:4", "4:2:0"),
        "codec": ("aom", "svt"),
    },
}
_PILLOW_SETTINGS = {
    "jpeg": (10, 20, 30, 40, 50, 60, 70, 80, 90, 95),
    "webp": (5, 15, 30, 50, 70, 80, 90, 95),
    "avif": (10, 20, 30, 40, 50, 60, 70, 80),
}
_PILLOW_FEATURES = {"jpeg": "libjpeg_turbo", "webp": "webp", "avif": "avif"}


def _pillow(spec: str, name: str, given: Options) -> PicturePeer:
    options = filled(spec, given, _PILLOW_CHOICES[name])
    fixed = _pillow_arguments(name, options)
    shown = "".join(f", {key}={value!r}" for key, value in fixed.items())

    def encode(pixels: Pixels, quality: float) -> bytes:
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, name.upper(), quality=int(quality), **fixed)
        return buffer.getvalue()

    return Peer(
        spec, "quality", _PILLOW_SETTINGS[name], f'Pillow: image.save(file, "{name.upper()}", quality=Q{shown})',
        encode, _pillow_decode, _pillow_version(_PILLOW_FEATURES[name]),
    )  # fmt: skip


def _pillow_arguments(name: str, options: Options) -> dict[str, Any]:
    if name == "jpeg":
        return {"subsampling": options["subsampling"], "optimize": True}
    if name == "webp":
        return {"method": int(options["method"])}
    advanced = {} if options["tune"] == "default" else {"tune": options["tune"]}
    arguments = {"codec": options["codec"], "speed": int(options["speed"]), "subsampling": options["subsampling"]}
    return {**arguments, "advanced": advanced, "max_threads": 1}  # with more threads libaom's files differ


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


# -- JPEG XL -----------------------------------------------------------------------------------------------------------


def _imagecodecs() -> Any:
    if importlib.util.find_spec("imagecodecs") is None:
        raise UnsupportedError("jpegxl needs the package imagecodecs, which is not installed")
    import imagecodecs

    return imagecodecs


def _jpegxl(spec: str, name: str, given: Options) -> PicturePeer:
    effort = int(filled(spec, given, {"effort": tuple("71234568") + ("9",)})["effort"])

    def encode(pixels: Pixels, distance: float) -> bytes:
        return bytes(_imagecodecs().jpegxl_encode(pixels, distance=distance, effort=effort, numthreads=1))

    def decode(data: bytes) -> Pixels:
        return np.asarray(_imagecodecs().jpegxl_decode(data, numthreads=1), dtype=np.uint8)

    def version() -> str:
        return f"imagecodecs {_imagecodecs().__version__} {_imagecodecs().jpegxl_version()}"

    about = f"imagecodecs.jpegxl_encode(pixels, distance=D, effort={effort}, numthreads=1)"
    return Peer(
        spec, "distance", (15, 10, 6, 4, 2.5, 1.5, 1.0, 0.5), about, encode, decode, version, 0.01, limits=(0.1, 25)
    )  # fmt: skip


def _intra(spec: str, name: str, given: Options) -> PicturePeer:
    from tessera.tools.peers import intra

    return intra.build(spec, name, given)


_BUILDERS: dict[str, Callable[[str, str, Options], PicturePeer]] = {
    "jpeg": _pillow,
    "webp": _pillow,
    "avif": _pillow,
    "jpegxl": _jpegxl,
    "hevc": _intra,
    "vvc": _intra,
}
PICTURE_PEERS = tuple(_BUILDERS)


def picture_peer(spec: str) -> PicturePeer:
    """The picture codec that `spec` names.  ParameterError for a wrong spec."""
    name, options = parse(spec)
    if name not in _BUILDERS:
        raise ParameterError(f"no codec {name!r}; there are {', '.join(_BUILDERS)}")
    return _BUILDERS[name](spec, name, options)


PEERS: dict[str, PicturePeer] = {name: picture_peer(name) for name in ("jpeg", "webp", "avif", "jpegxl")}
