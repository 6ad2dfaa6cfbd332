"""Effort best: the fitted picture, or that of the default codec where this one is better at the same size.

Networks of a fit take about a kilobyte, so small pictures and low rates do better without them; and a fit may fail.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any, BinaryIO

from ...models.base.fitted import FitFailed
from .. import defaults
from ..errors import ParameterError
from ..media.types import Source
from .stream import Encoded, EncoderSettings, settings_for
from .targets import encode_target, file_psnr


def encode_chosen(source: Source, sink: BinaryIO, settings: EncoderSettings) -> Encoded:
    """Encode to `sink` as the options say; with effort best and no codec named, by the one that does it better."""
    if settings.options.effort != "best" or settings.options.codec == defaults.FITTED:
        return encode_target(source, sink, settings)
    fitted = io.BytesIO()
    try:
        found = encode_target(source, fitted, settings)
    except ParameterError as error:
        if not isinstance(error.__cause__, FitFailed):
            raise
        encoded = encode_target(source, sink, _plain(settings))
        encoded.warnings.append(f"{error}; this file is of codec {defaults.CODEC}")
        return encoded
    plain = io.BytesIO()
    if settings.options.psnr is None:
        other = encode_target(source, plain, _plain(settings, quality=None, bpp=None, size=found.bytes))
        nearer = file_psnr(source, plain, settings) > file_psnr(source, fitted, settings)
        better = other.bytes <= found.bytes and nearer
    else:
        other = encode_target(source, plain, _plain(settings))
        better = other.bytes < found.bytes and not other.warnings
    sink.write((plain if better else fitted).getvalue())
    return other if better else found


def _plain(settings: EncoderSettings, **target: int | None) -> EncoderSettings:
    """The default codec instead of the one that fits, with the same wishes or another target."""
    wishes: dict[str, Any] = {"family_options": {}, **target}
    return settings_for(replace(settings.options, effort="medium", progress=None, **wishes))
