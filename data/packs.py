"""Packs (tar archives of pictures or clips) streamed into memory as uint8 tensors, and random crops of pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

PICTURES = ("avif", "png", "jpg", "jpeg", "webp")
CLIPS = ("mkv", "mp4")
HELD_OUT = {3: 60, 4: 20}  # every so many pictures (3 dimensions) and clips (4) are kept from training


def stream(paths: Sequence[str | Path]) -> Iterator[tuple[str, bytes]]:
    """(key, encoded picture or clip) of every sample in the tar archives, in their order."""
    import webdataset as wds

    # every process of a group keeps all pictures in memory and draws crops of its own, so nothing is split
    whole = {"nodesplitter": _all, "workersplitter": _all, "shardshuffle": False, "empty_check": False}
    for sample in wds.WebDataset([str(p) for p in paths], **whole):
        for kind in (*PICTURES, *CLIPS):
            if kind in sample:
                yield sample["__key__"], sample[kind]


def _all(shards: Iterator[Any]) -> Iterator[Any]:
    yield from shards


def decode(blob: bytes) -> Tensor:
    """An encoded picture as uint8 (3, H, W), a clip as uint8 (T, H, W, 3)."""
    if blob.startswith(b"\x1a\x45\xdf\xa3") or blob[4:8] == b"ftyp" and blob[8:12] != b"avif":
        from tessera.codec.media import open_source  # av, which pictures do without

        with open_source(io.BytesIO(blob)) as clip:
            return torch.from_numpy(np.stack([frame.pixels for frame in clip.frames()]))
    with Image.open(io.BytesIO(blob)) as picture:
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).contiguous()


def load(paths: Sequence[str | Path], threads: int = 2) -> list[tuple[str, Tensor]]:
    """Every sample of the packs, decoded: (key, uint8 tensor), see `decode`."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda item: (item[0], decode(item[1])), stream(paths)))


def hold_out(
    samples: list[tuple[str, Tensor]], every: Mapping[int, int] = HELD_OUT
) -> tuple[list[Tensor], list[Tensor]]:
    """Training and validation samples: of each number of dimensions, every so manieth by sorted key is held out."""
    training, validation = [], []
    for dimensions, distance in every.items():
        chosen = [item for item in samples if item[1].dim() == dimensions]
        ordered = [sample for _, sample in sorted(chosen, key=lambda item: item[0])]
        training += [sample for i, sample in enumerate(ordered) if i % distance]
        validation += ordered[::distance]
    return training, validation


def crops(pictures: Sequence[Tensor], batch: int, side: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless random crops, float (batch, 3, side, side) in 0..255, mirrored and turned.

    A quarter of them are enlarged by up to 1.5, and half, which have sharp edges then, made smaller by up to 2.5.
    """

    def number(limit: int) -> int:
        return int(torch.randint(limit, (1,), generator=generator))

    def taken() -> int:
        """Pixels per side that a crop is made from."""
        kind = number(4)
        if kind == 0:
            return side * (10 + number(6)) // 15
        return side if kind == 1 else side * (16 + number(25)) // 16

    def one() -> Tensor:
        picture = pictures[number(len(pictures))]
        size = min(taken(), *picture.shape[1:])
        y, x = number(picture.shape[1] - size + 1), number(picture.shape[2] - size + 1)
        crop = picture[:, y : y + size, x : x + size].float()
        if size != side:
            resized = F.interpolate(crop[None], (side, side), mode="bicubic", align_corners=False, antialias=True)
            crop = resized[0].clamp(0, 255)
        crop = crop.flip(2) if number(2) else crop
        return crop.transpose(1, 2) if number(4) == 0 else crop

    while True:
        yield torch.stack([one() for _ in range(batch)])
