"""The ladder of tables: what rounding takes a symbol to cost, wide rungs in two parts, rounding that minimises."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch

from tessera.codec.coding import weights
from tessera.codec.coding.ports import DecoderPort, EncoderPort
from tessera.entropy import Tables
from tessera.models.prior import exchange, ladder
from tessera.models.prior.bands import hard
from tessera.models.prior.fitted import cost_table, initial_pmf, integer_tables, lookup, shifts_of
from tessera.models.prior.ladder import COST_UNIT, RUNGS, SHIFTS, TABLE_REACH, TABLES, costs_of, shift_of
from tessera.models.prior.ports import Shifted, get_number, put_number
from tessera.models.prior.rounding import round_cheaply
from tessera.models.transform.bands import RATE_WEIGHT


@pytest.fixture(scope="module")
def tables() -> Tables:
    frequencies, lows, sizes = (t.numpy() for t in integer_tables(initial_pmf()).values())
    return Tables(frequencies.astype(np.uint16), lows, sizes)


def test_costs_are_rounded_exactly() -> None:
    """Of every frequency of 4096: 12 - log2(f) in units, by integers alone; and no library rounds it to another."""
    assert COST_UNIT == 1024 and ladder._COSTS.shape == (4097,)
    with localcontext() as context:
        context.prec = 40
        for frequency in range(1, 4097):
            cost = round(float(ladder._COSTS[frequency]) * COST_UNIT)
            assert cost / COST_UNIT == ladder._COSTS[frequency]
            power = frequency ** (2 * COST_UNIT)  # 2 ** (2 * units of log2(f))
            least, most = (2 * (12 * COST_UNIT - cost) + off for off in (-1, 1))
            assert frequency == 4096 or power < 1 << most
            assert least < 0 or power > 1 << least
            exact = (12 - Decimal(frequency).ln() / Decimal(2).ln()) * COST_UNIT
            assert abs(exact - cost) < Decimal("0.49999")


def test_costs_are_what_the_coder_charges(tables: Tables) -> None:
    """For every magnitude on every rung, within their unit, the escape and the low bits of wide rungs included."""
    costs = costs_of(tables)
    assert costs.shape == (RUNGS, TABLE_REACH + 2) and costs.dtype == np.float32
    for rung in range(0, RUNGS, 7):
        magnitudes = np.arange(TABLE_REACH + 2, dtype=np.int32)
        values = (magnitudes << SHIFTS[rung]).astype(np.int32)
        spent = exchange.spent_bits(tables, values, np.full(len(values), rung, np.uint8))
        np.testing.assert_allclose(costs[rung], spent, atol=0.002)


def test_costs_of_a_ladder_that_stands_elsewhere() -> None:
    arrays, _ = weights.read(weights.files("spatiotemporal")[0])
    frequencies, lows, sizes = (arrays[name] for name in ladder.TABLE_NAMES)
    every = Tables(frequencies.astype(np.uint16), lows.astype(np.int32), sizes.astype(np.int32))
    first, later = costs_of(every), costs_of(every, TABLES + 6)
    assert not np.array_equal(first, later)
    values, rungs = np.arange(20, dtype=np.int32), np.full(20, 30, np.uint8)
    np.testing.assert_allclose(later[30, :20], exchange.spent_bits(every, values, rungs, TABLES + 6), atol=0.002)


def test_wide_rungs_split_exactly(tables: Tables) -> None:
    """Every coefficient survives on every rung, through the split into table and uniform bits."""
    rungs = np.arange(RUNGS).repeat(40).astype(np.uint8)
    values = (np.random.default_rng(2).normal(size=len(rungs)) * 600).astype(np.int32)
    values[::97] = exchange.LARGEST + 1 << 3  # is clipped
    port = EncoderPort(tables)
    kept = exchange.put(port, values, rungs)
    np.testing.assert_array_equal(kept, values.clip(-exchange.LARGEST, exchange.LARGEST))
    back = DecoderPort(tables, port.finish())
    np.testing.assert_array_equal(exchange.get(back, rungs), kept)
    back.finish()


def test_bits_are_shared_by_the_cells_below() -> None:
    plane = np.array([[4.0, 6.0], [3.0, 2.0]], np.float32)
    shared = exchange.share(plane, 1, (3, 3))
    assert shared.tolist() == [[1.0, 1.0, 3.0], [1.0, 1.0, 3.0], [1.5, 1.5, 2.0]]


def test_numbers_and_shifted_ladders(tables: Tables) -> None:
    class Seen:
        calls: list[list[int]] = []

        def put(self, symbols: exchange.Integers, indices: exchange.Rungs) -> None:
            self.calls.append(indices.tolist())

        def get(self, indices: exchange.Rungs) -> exchange.Integers:
            return np.full(len(indices), 4, np.int32)

    port = Seen()
    Shifted(port, 78).put(np.zeros(4, np.int32), np.array([0, 71, 72, 77], np.uint8))
    put_number(port, 3, 2)
    assert port.calls == [[78, 149, 72, 77], [73]]
    assert get_number(port, 3) == 4
    with pytest.raises(ValueError, match="2 bits is 4"):
        get_number(port, 2)


def test_shifts() -> None:
    assert [shift_of(rung) for rung in (0, 71, 72, 79, 80, RUNGS - 1)] == [0, 0, 1, 1, 2, 6]
    assert SHIFTS.tolist() == shifts_of(torch.arange(RUNGS)).tolist()
    assert hard(torch.tensor([0.49, 0.5, 71.5])).tolist() == [0, 1, 72]


# -- training's own ---------------------------------------------------------------------------------------------------


def test_cost_table_matches_integer_tables(tables: Tables) -> None:
    """What training takes a symbol to cost is what the coder's tables charge, within their 12 bits."""
    costs, rung = cost_table(initial_pmf()), torch.arange(0, TABLES, 5)
    magnitude = torch.arange(64.0)[None].expand(len(rung), -1)
    rungs = rung[:, None].expand_as(magnitude)
    trained = lookup(costs, rungs, magnitude)
    coded = torch.from_numpy(tables.bits(magnitude.int().numpy(), rungs.to(torch.uint8).numpy()))
    weight = initial_pmf()[rung][:, :64]
    assert float((weight * (coded - trained)).sum(1).abs().max()) < 0.02


def test_rounding_minimises_its_cost() -> None:
    costs = cost_table(initial_pmf())
    y = torch.randn(4000, generator=torch.Generator().manual_seed(4)) * 3
    rung = torch.randint(0, RUNGS, (4000,), generator=torch.Generator().manual_seed(5))
    q = round_cheaply(y, rung, costs, RATE_WEIGHT)
    for other in (torch.floor(y.abs() + 0.5) * y.sign(), (torch.floor(y.abs() + 0.5) - 1).clamp(min=0) * y.sign()):
        mine = (y - q).square() + RATE_WEIGHT * lookup(costs, rung, q.abs())
        theirs = (y - other).square() + RATE_WEIGHT * lookup(costs, rung, other.abs())
        assert bool((mine <= theirs + 1e-4).all())
