"""Ids of a file's indices, of codecs with codebooks, and files of ids; see `models.discrete` for their three forms."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...models.base.discrete import Codes, Discrete, Mask
from ..coding.groups import Group, Pixels, group_length, group_spec, group_times, read_alpha, use_symbols
from ..coding.ports import EncoderPort
from ..coding.stream import cut
from ..errors import ParameterError, need_torch
from ..format.header import GroupHead
from ..format.writer import ContainerWriter
from ..options import check_gop

if TYPE_CHECKING:
    from torch import Tensor

    from ...models.base.family import Family, GroupSpec
    from ...models.tokens.ids import IdTokens
    from .clip import Clip

KINDS = ("latents", "ids", "packed", "bytes")
BEGIN, END = 256, 257  # ids around the bytes of a file


def discrete(family: Family) -> Discrete:
    """The family, which has codebooks.  ParameterError for one that has not."""
    if not isinstance(family, Discrete):
        raise ParameterError(f"codec {family.name} has no codebooks, so no ids; vqgan has")
    return family


def read_codes(clip: Clip, start: int, stop: int) -> Codes:
    """Codes (T, h, w, Q) of frames start..stop-1.  No pixels are made."""
    family, head = discrete(clip.family), clip.reader.header
    parts = []
    for number in clip.reader.numbers(start, stop):
        data = clip.reader.group(number)
        codes = use_symbols(family, head, data, clip.limits, family.ids)
        parts.append(codes[max(0, start - data.head.first) : stop - data.head.first])
    return np.concatenate(parts)


def read_kind(clip: Clip, start: int, stop: int, kind: str) -> IdTokens | Tensor:
    """What `Clip.tokens` returns for a kind other than latents."""
    need_torch("tokens")
    import torch

    from ...models.tokens.ids import IdTokens

    if kind == "bytes":
        if (start, stop) != (0, len(clip)):
            raise ParameterError("a part of the frames is no file: kind bytes takes them all")
        return torch.tensor([BEGIN, *clip.reader.raw(), END])
    if kind not in KINDS:
        raise ParameterError(f"kind {kind!r} is not one of {', '.join(KINDS)}")
    family, codes = discrete(clip.family), read_codes(clip, start, stop)
    spec = _spec(clip, len(codes))
    if kind == "packed":
        return torch.from_numpy(family.packed(codes, spec))
    times = torch.from_numpy(clip.times(start, stop))
    sequence = torch.from_numpy(family.sequence(codes, spec))
    return IdTokens(sequence, torch.from_numpy(codes), times, family.vocabulary)


def file_of_bytes(ids: Any) -> bytes:
    """Turn the ids of the bytes of a file back into the file: the inverse of `Clip.tokens(kind="bytes")`.

    Args:
        ids: Integers (N,): 256, the bytes of the file 0..255, 257.

    Returns:
        The file.

    Raises:
        ParameterError: No file gives these ids.
    """
    ids = np.asarray(ids)
    inner = ids[1:-1]
    if ids.ndim != 1 or len(ids) < 2 or int(ids[0]) != BEGIN or int(ids[-1]) != END or bool((inner >> 8 != 0).any()):
        raise ParameterError(f"the ids of a file are {BEGIN}, its bytes 0..255, {END}")
    return bytes(inner.astype(np.uint8))


def _spec(clip: Clip, frames: int) -> GroupSpec:
    head = clip.reader.header
    return group_spec(head, frames, head.quality)


def _codes(clip: Clip, ids: Any) -> tuple[Discrete, Codes, GroupSpec]:
    """Ids in any form as the codes of frames of the clip's size and quality."""
    family, ids = discrete(clip.family), np.asarray(getattr(ids, "codes", ids))
    if ids.ndim not in (2, 4) or not len(ids):
        raise ParameterError(f"ids are codes (T, h, w, Q), a sequence (T, n) or bytes (T, n), not {tuple(ids.shape)}")
    spec = _spec(clip, len(ids))
    try:
        return family, family.codes_of(ids, spec), spec
    except ValueError as error:
        raise ParameterError(str(error)) from error


def paint_ids(clip: Clip, ids: Any) -> Pixels:
    """Frames uint8 (T, H, W, C) of ids in any form; size, channels and quality are the clip's."""
    family, codes, spec = _codes(clip, ids)
    clip.limits.check_array(spec.frames, spec.width, spec.height)
    return family.from_ids(codes, spec)


def encode_ids(ids: Any, like: Clip, *, gop: int | None = None) -> bytes:
    """Write codebook indices, for example those that a language model made, as a file.

    Args:
        ids: `IdTokens`, codes (T, h, w, Q), a sequence (T, n) or packed bytes (T, n); T frames.
        like: An open file whose size, rate, quality and weights the new one gets.
        gop: Frames per group.  None: the choice of the family.

    Returns:
        The .tsr file, with as many frames as there are ids.

    Raises:
        ParameterError: The codec of `like` has no codebooks, its frames cannot have these ids, or it has alpha.
    """
    check_gop(gop)
    family, codes, _ = _codes(like, ids)
    head = replace(like.reader.header, announced=len(codes), start=0)
    if head.alpha or (head.still and len(codes) != 1):
        raise ParameterError("ids hold no alpha" if head.alpha else f"a picture has one frame, not {len(codes)}")
    sink = io.BytesIO()
    writer = ContainerWriter(sink, head, like.limits)
    length = group_length(gop, family, head, like.limits)
    for first in range(0, len(codes), length):
        part = codes[first : first + length]
        port = EncoderPort(family.tables)
        family.put_ids(part, group_spec(head, len(part), head.quality), port)
        writer.group(GroupHead(first, len(part), head.quality), port.finish())
    writer.finish()
    return sink.getvalue()


def restored(clip: Clip, erasures: Any, start: int, stop: int) -> Iterator[Group]:
    """Frames start..stop-1 group by group with the indices in `erasures` restored; see `Clip.restore`."""
    family, head = discrete(clip.family), clip.reader.header
    given = _masks(erasures)
    masks = [given] if isinstance(given, np.ndarray) else given
    try:
        family.lost(given, _spec(clip, stop - start))  # the shapes
    except ValueError as error:
        raise ParameterError(str(error)) from error
    for number in clip.reader.numbers(start, stop):
        data = clip.reader.group(number)
        first, frames = data.head.first, data.head.frames
        parts = [_place(mask, first - start, frames) for mask in masks]
        lost = family.lost(parts[0] if isinstance(given, np.ndarray) else parts, group_spec(head, frames, head.quality))

        def show(spec: GroupSpec, port: Any, lost: list[Mask] = lost) -> Pixels:
            return family.conceal(spec, port, lost)

        pixels = use_symbols(family, head, data, clip.limits, show)
        yield cut(Group(first, pixels, read_alpha(head, data), group_times(head, data.head)), start, stop)


def _masks(erasures: Any) -> NDArray[Any] | list[NDArray[Any]]:
    single = hasattr(erasures, "dtype")  # an array or tensor, not a list of them
    try:
        masks = [np.asarray(mask) for mask in ([erasures] if single else erasures)]
    except (TypeError, ValueError) as error:
        raise ParameterError(f"erasures are bool (T, h, w), or one such mask a codebook: {error}") from error
    return masks[0] if single else masks


def _place(mask: Mask, first: int, frames: int) -> Mask:
    """`frames` rows of the mask from row `first` on; nothing is lost where it has none."""
    out = np.zeros((frames, *mask.shape[1:]), np.bool_)
    a, b = max(0, first), min(len(mask), first + frames)
    out[a - first : b - first] = mask[a:b]
    return out
