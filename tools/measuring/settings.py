"""How a study is run, and the checks of the settings of studies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tessera.codec.errors import ParameterError
from tessera.tools.engines.engine import Engine

Workers: TypeAlias = int | Engine
"""How many processes of this machine, or the engine that has them."""


@dataclass(frozen=True)
class Run:
    """How a study is run; none of this changes its figures.

    workers   measurements at a time, each in a process of one thread; or an engine that does them, see `make_engine`
    quiet     show no progress bar
    command   the command line that the page prints; empty: the page prints the settings instead
    """

    workers: Workers = 1
    quiet: bool = True
    command: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.workers, int):
            check_least(self, 1, "workers")

    def described(self, settings: object) -> str:
        """The line of the page that says how its figures were made."""
        return self.command or f"evaluate({settings!r})"


def check_least(settings: object, least: float, *names: str) -> None:
    """ParameterError that names the first of the fields `names` that is below `least`."""
    for name in names:
        value = getattr(settings, name)
        if value < least:
            raise ParameterError(f"{name} {value}: at least {least:g}")


def check_range(settings: object, low: float, high: float, *names: str) -> None:
    """ParameterError that names the first field with a number, or one of several numbers, that is not in low..high."""
    for name in names:
        value = getattr(settings, name)
        for number in value if isinstance(value, tuple | list) else (value,):
            if not low <= number <= high:
                raise ParameterError(f"{name} {number:g} is not in {low:g}..{high:g}")


def check_some(settings: object, *names: str) -> None:
    """ParameterError that names the first field that holds nothing."""
    for name in names:
        if not getattr(settings, name):
            raise ParameterError(f"{name}: at least one is needed")


DEFAULT_RUN = Run()
