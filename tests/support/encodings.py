"""What a drawn picture and drawn clips are encoded and decoded to, pinned for every machine."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.models.base.family import GroupSpec
from tessera.models.spatiotemporal.family import SpatiotemporalFamily
from tessera.models.vqgan.family import VqganFamily
from tessera.models.wavelet.family import WaveletFamily

from . import drawn
from .kernel_paths import available_paths

Family = WaveletFamily | SpatiotemporalFamily | VqganFamily
FRAMES = {"wavelet": 1, "spatiotemporal": 4, "vqgan": 2}

# of `drawn` at (72, 104), quality 42: the stream at an effort, then the pixels of decoders standard and fast.  They
# change with the weights and with the format, and with nothing else; `python -m tests.support.encodings` prints them
DIGESTS = {
    ("wavelet", "fast"): "b51e349221f5060af56943f78b83eae4d1a2cc82380218144ab5b32bfbb4fd22",
    ("wavelet", "medium"): "b51e349221f5060af56943f78b83eae4d1a2cc82380218144ab5b32bfbb4fd22",
    ("spatiotemporal", "fast"): "d017daf2e4202937961e4fddc4ddaa0e116b9fc10c3261151875887d3e813409",
    ("spatiotemporal", "medium"): "c85ceaa2f1a8628f56f861b249ce2f5d579cc684eb5ffb5cf3834bbdf1150f23",
    ("vqgan", "fast"): "a42fc770bf9b163ac635282f3d7bc4e8749604b0a57d2a1aa525501e232acaac",
    ("vqgan", "medium"): "a42fc770bf9b163ac635282f3d7bc4e8749604b0a57d2a1aa525501e232acaac",
}


@lru_cache(maxsize=16)
def family(name: str, path: str, effort: str) -> Family:
    loaded, _ = weights.load(name)
    assert isinstance(loaded, Family)
    return loaded.using(path).configure(effort)


def encode(coder: Family, frames: NDArray[np.uint8], quality: int) -> tuple[bytes, GroupSpec]:
    spec = GroupSpec(len(frames), frames.shape[1], frames.shape[2], frames.shape[3], quality)
    port = EncoderPort(coder.tables)
    coder.encode(frames, spec, port)
    return port.finish(), spec


def decode(coder: Family, data: bytes, spec: GroupSpec, decoder: str) -> NDArray[np.uint8]:
    port = DecoderPort(coder.tables, data)
    frames = coder.decode(spec, port, decoder)
    port.finish()
    return frames


def digest(coder: Family) -> str:
    """Of the drawn frames; see DIGESTS."""
    data, spec = encode(coder, drawn.clip(FRAMES[coder.name], 72, 104, 3), 2688)
    found = hashlib.sha256(data)
    for decoder in (name for name in ("standard", "fast") if name in coder.decoders):
        found.update(decode(coder, data, spec, decoder).tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    for made, effort in DIGESTS:
        print(f'    ("{made}", "{effort}"): "{digest(family(made, available_paths()[-1], effort))}",')
