"""The families of this package as peers: `wavelet@decoder=fast`, `wavelet@rate_weight=0`, `spatiotemporal@gop=16`."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tessera.codec.media.types import Pixels
from tessera.models.base.quality import shown
from tessera.tools.options import key_value
from tessera.tools.peers.peer import Peer, parse

if TYPE_CHECKING:
    from tessera.codec.options import DecoderName

_ENCODING = ("effort", "gop", "decoder")  # arguments of `tessera.encode`; what else there is goes to the family


def known(spec: str) -> bool:
    """Whether `spec` names a family."""
    from tessera.models.registry import FAMILIES

    return parse(spec)[0] in FAMILIES


def picture_family(spec: str, qualities: Sequence[float], device: str) -> Peer[Pixels, Pixels]:
    """A family that codes pictures.  ParameterError for an option that it lacks, UnsupportedError without weights."""
    import tessera

    arguments, decoder, about, version = _prepare(spec, device)

    def encode(pixels: Pixels, quality: float) -> bytes:
        return bytes(tessera.encode(pixels, quality=quality, **arguments))

    def decode(data: bytes) -> Pixels:
        return np.asarray(tessera.decode(data, decoder=decoder, device=device))

    return Peer(spec, "quality", tuple(qualities), about, encode, decode, lambda: version, shown(1), (0, 100))


def clip_family(
    spec: str, qualities: Sequence[float], device: str, checkpoint: Path | None = None
) -> Peer[Path, Iterator[Pixels]]:
    """A family that codes clips, from the file's path.

    checkpoint   folder where a family that fits networks keeps its states, and goes on from them
    """
    import tessera
    from tessera.codec.coding import weights
    from tessera.models.base.fitted import Fits

    arguments, decoder, about, version = _prepare(spec, device)
    before: list[float] = []  # of each status, CPU seconds of interrupted runs
    if checkpoint is not None and isinstance(weights.load(arguments["codec"], device=device)[0], Fits):
        arguments |= {"checkpoint": str(checkpoint), "watch": lambda status: before.append(status.earlier)}

    def encode(path: Path, quality: float) -> bytes:
        before.clear()
        return bytes(tessera.encode(path, quality=quality, metadata=False, **arguments))

    def decode(data: bytes) -> Iterator[Pixels]:
        with tessera.open(io.BytesIO(data), decoder=decoder, device=device) as clip:
            yield from clip.frames()

    return Peer(spec, "quality", tuple(qualities), about, encode, decode, lambda: version, shown(1), (0, 100),
                lambda: sum(before))  # fmt: skip


def _prepare(spec: str, device: str) -> tuple[dict[str, Any], DecoderName | None, str, str]:
    """Arguments of `tessera.encode`, the decoder, the command for reports, and the version; all checked."""
    import tessera
    from tessera.codec.coding import weights
    from tessera.codec.coding.stream import settings_for
    from tessera.codec.options import EncodeOptions, from_keywords

    name, texts = parse(spec)
    options: dict[str, object] = dict(key_value(f"{key}={value}") for key, value in texts.items())
    ours = {key: value for key, value in options.items() if key not in _ENCODING}
    decoder = cast("DecoderName | None", texts.get("decoder"))
    arguments: dict[str, Any] = {"codec": name, "device": device, **options}
    settings_for(from_keywords(EncodeOptions, None, arguments))
    named = "".join(f" --{key} {options[key]}" for key in _ENCODING if key in options)
    extra = "".join(f" -o {key}={value}" for key, value in ours.items())
    about = f"tessera encode IN OUT.tsr --codec {name} --quality Q{named}{extra}"
    found = weights.load(name, device=device)[1]
    version = f"tessera {tessera.__version__} weights {found.hex()}"
    for kind, tensors in weights.companions(name, found).items():
        if kind in ("analysis", decoder):  # files depend on the former, pixels on the decoder that is asked for
            version += f" {kind} {weights.identify(tensors).hex()}"
    if "task" in ours:
        version += f" task {weights.identify(weights.read_task(Path(texts['task']))).hex()}"
    return arguments, decoder, about, version
