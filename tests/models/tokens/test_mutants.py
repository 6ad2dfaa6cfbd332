"""A test must fail when its idea is taken out: each entry of `MUTANTS` is put in, and its test is run."""

from __future__ import annotations

from functools import partial
from types import ModuleType

import pytest

from tessera.models.tokens import METHODS

from ...support.mutation import Mutant, notices
from . import test_helpers, test_lm, test_modules, test_rows_merge, test_rows_pool, test_rows_select
from .mutants import layers, merge, pool, select, time

FILES: tuple[ModuleType, ...] = (test_helpers, test_lm, test_modules, test_rows_merge, test_rows_pool, test_rows_select)
MUTANTS = (*select.MUTANTS, *merge.MUTANTS, *pool.MUTANTS, *layers.MUTANTS, *time.MUTANTS)
NO_MUTANT = {
    "test_row_24_every_cube_has_a_frame": "edge cases of test_row_24_quicksviewer",
    "test_row_25_survey": "a property of the table of methods",
    "test_row_7_slow_fast_architecture": "the package holds the tokens; the attention to them is that of the test",
    "test_row_41_virtual_unmerging_is_exact_with_rotary_positions": "`assign` is tested for every method",
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.target}-{mutant.test.__name__}")
def test_the_test_notices(mutant: Mutant) -> None:
    assert notices(mutant), f"{mutant.test.__name__} passes although {mutant.target} was replaced"


def test_every_row_has_a_mutant() -> None:
    rows = {name for file in FILES for name in vars(file) if name.startswith("test_row_")}
    noticed = {mutant.test.__name__ for mutant in MUTANTS}
    assert rows - noticed == set(NO_MUTANT)


def test_every_method_has_a_mutant() -> None:
    replaced = {mutant.target for mutant in MUTANTS}
    for name, method in METHODS.items():
        run = method.run.func if isinstance(method.run, partial) else method.run
        home = f"{run.__module__.removeprefix('tessera.models.tokens.')}.{run.__name__}"
        assert home in replaced, f"{name} is {home}, which no mutant replaces"
