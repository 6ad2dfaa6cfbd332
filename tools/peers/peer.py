"""A codec to compare with, and its name.

A spec names a peer and its options: `avif`, `avif@speed=6@tune=default`.  Options that are not named have the value
that the codec's builder gives first; every one of them is printed in reports.  `settings` go from low rate to high.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from tessera.codec.errors import ParameterError
from tessera.codec.media.types import Pixels

Source = TypeVar("Source")
Result = TypeVar("Result")
Options = dict[str, str]


@dataclass(frozen=True)
class Peer(Generic[Source, Result]):
    """A codec: `encode(source, setting)` makes a file's bytes, `decode` reads them.

    A picture codec goes from uint8 (H, W, 3) to the same, a clip codec from a path to an iterator of such frames.

    name        the spec; the name of the curve
    parameter   the name of what `settings` vary
    about       the exact command and the settings that stay fixed, printed in reports
    version     the libraries that did it; measurements of another version are not reused
    step        settings are multiples of it; 0 where there are no others than `settings`
    limits      least and greatest setting
    earlier     CPU seconds that interrupted runs gave to what `encode` finished last; 0 where it began it
    """

    name: str
    parameter: str
    settings: tuple[float, ...]
    about: str
    encode: Callable[[Source, float], bytes]
    decode: Callable[[bytes], Result]
    version: Callable[[], str]
    step: float = 1.0
    limits: tuple[float, float] = (1, 100)
    earlier: Callable[[], float] = float


PicturePeer = Peer[Pixels, Pixels]


def parse(spec: str) -> tuple[str, Options]:
    """`avif@speed=6` -> ("avif", {"speed": "6"})."""
    name, *pairs = spec.split("@")
    options: Options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (equals and key and value) or key in options:
            raise ParameterError(f"codec {spec!r}: {pair!r} is not key=value, or given twice")
        options[key] = value
    return name, options


def filled(spec: str, given: Options, choices: Mapping[str, tuple[str, ...]]) -> Options:
    """`given` with the first choice for every option that it lacks.  An empty last choice lets any value pass."""
    for key, value in given.items():
        if key not in choices:
            raise ParameterError(f"codec {spec!r}: no option {key!r}; there are {', '.join(choices) or 'none'}")
        allowed = choices[key]
        if value not in allowed and allowed[-1]:
            raise ParameterError(f"codec {spec!r}: {key} is one of {', '.join(allowed)}")
    return {key: given.get(key, allowed[0]) for key, allowed in choices.items()}
