"""The errors of the package, all under `CodecError`, which every floor knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..models.base.errors import CodecError as CodecError
from ..models.base.errors import ParameterError as ParameterError


class FormatError(CodecError):
    """The file is damaged, truncated, empty or not of the type that it claims to be."""


class UnsupportedError(CodecError):
    """The file is sound, but this install lacks the version, codec or weights that it needs."""


class LimitError(CodecError):
    """The file asks for more than the limits allow."""


def need_torch(what: str) -> None:
    """UnsupportedError in one line where PyTorch, which `what` takes, is not installed."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise UnsupportedError(f"no {what} without PyTorch, which is not installed: pip install 'tessera-codec[torch]'")


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Put the file's name before the message of a FormatError and its relatives; nothing for a file without a name."""
    try:
        yield
    except CodecError as error:
        if not file or isinstance(error, ParameterError) or str(error).startswith(file):
            raise
        kind = FormatError if isinstance(error, FormatError) else type(error)
        raise kind(f"{file}: {error}") from error
