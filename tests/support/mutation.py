"""Replacing a function wherever it is known by name, for tests that must notice."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial, update_wrapper
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor

PACKAGE = "tessera.models.tokens"
Test = Callable[[], None]


@dataclass(frozen=True)
class Mutant:
    """One idea taken out.

    target   module and name under tessera.models.tokens, `methods.merge.vq`, `types.TokenSet.draft` or
             `methods.recipes.RECIPES[dcode]`
    becomes  original -> what stands in its place
    test     must fail by an assertion
    """

    target: str
    becomes: Callable[[Any], Any]
    test: Test


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """The package with the mutant in it."""
    path, _, entry = mutant.target.rstrip("]").partition("[")
    words = path.split(".")
    depth = next(n for n in range(len(words) - 1, 0, -1) if _is_module(words[:n]))
    home: Any = import_module(".".join([PACKAGE, *words[:depth]]))
    for word in words[depth:-1]:
        home = getattr(home, word)
    original = getattr(home, words[-1])
    with pytest.MonkeyPatch.context() as patch:
        made = mutant.becomes(original[entry] if entry else original)
        if inspect.isfunction(made) and inspect.isfunction(original) and made is not original:
            update_wrapper(made, original)  # the same options to those who ask for its signature
        if entry:
            patch.setitem(original, entry, made)
        elif inspect.isclass(home):
            patch.setattr(home, words[-1], _like(inspect.getattr_static(home, words[-1]), made))
        else:
            _replace_everywhere(patch, original, made)
        yield


def _is_module(words: list[str]) -> bool:
    try:
        import_module(".".join([PACKAGE, *words]))
    except ModuleNotFoundError:
        return False
    return True


def _like(static: Any, made: Any) -> Any:
    """What a class holds for it: properties and class methods stay such."""
    return property(made) if isinstance(static, property) else made


def _replace_everywhere(patch: pytest.MonkeyPatch, original: Any, made: Any) -> None:
    """Under every name in modules, in the registry of methods (by itself or in a partial), in tables of functions."""
    from tessera.models.tokens import METHODS

    for name, module in list(sys.modules.items()):
        if not name.startswith(PACKAGE) and ".tokens" not in name:
            continue
        for key, value in list(vars(module).items()):
            if value is original:
                patch.setattr(module, key, made)
            elif isinstance(value, dict) and value is not METHODS:
                for label, held in value.items():
                    if held is original:
                        patch.setitem(value, label, made)
    for name, method in METHODS.items():
        if method.run is original:
            patch.setitem(METHODS, name, replace(method, run=made))
        elif isinstance(method.run, partial) and method.run.func is original:
            patch.setitem(METHODS, name, replace(method, run=partial(made, *method.run.args, **method.run.keywords)))


def notices(mutant: Mutant) -> bool:
    """Whether the test fails by an assertion.  Any other error is no notice and is passed on."""
    with mutated(mutant):
        try:
            mutant.test()
        except (AssertionError, pytest.fail.Exception):
            return True
    return False


# -- what may stand in a function's place ------------------------------------------------------------------------------


def drawn(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(99))


def always(value: Any) -> Callable[[Any], Any]:
    return lambda f: lambda *given, **options: value


def upside_down(f: Any) -> Any:
    return lambda *given, **options: -f(*given, **options)


def without(*names: str) -> Callable[[Any], Any]:
    """The same, deaf to these options."""
    return lambda f: lambda *given, **options: f(*given, **{k: v for k, v in options.items() if k not in names})


def asking(**forced: Any) -> Callable[[Any], Any]:
    """The same, with other options than were asked for."""
    return lambda f: lambda *given, **options: f(*given, **{**options, **forced})
