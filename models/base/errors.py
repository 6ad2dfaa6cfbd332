"""The errors that every floor raises; `codec.errors` has those of files as well."""

from __future__ import annotations


class CodecError(Exception):
    """Something that the caller can act on: the message names the file, the field and the remedy."""


class ParameterError(CodecError, ValueError):
    """An argument is out of range, of the wrong type, or contradicts another."""
