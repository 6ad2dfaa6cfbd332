"""The errors of the package, all under `CodecError`."""

from __future__ import annotations


class CodecError(Exception):
    """Something that the caller can act on: the message names the file, the field and the remedy."""


class FormatError(CodecError):
    """The file is damaged, truncated, empty or not of the type that it claims to be."""


class UnsupportedError(CodecError):
    """The file is sound, but this install lacks the version, codec or weights that it needs."""


class LimitError(CodecError):
    """The file asks for more than the limits allow."""


class ParameterError(CodecError, ValueError):
    """An argument is out of range, of the wrong type, or contradicts another."""
