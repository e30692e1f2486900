"""Energy by the data sheet's arithmetic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.services.dram.command.columns import COMMANDS, OPEN_CYCLES, cycles_of
from l3sim.services.dram.command.commands import ISSUED
from l3sim.services.dram.command.energy import PARTS, weights
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.result import Outcome, attend
from tests.services.dram.command.domain import kernels
from tests.services.dram.command.kernels import kernel


def picojoules(of: Kernel, outcome: Outcome) -> dict[str, float]:
    return {part: float(outcome.values @ weight) for part, weight in weights(of).items()}


def test_one_token_of_mha_by_hand() -> None:
    of = kernel(1, n_hc=8)
    outcome = attend(of, [1])
    # ACT 17 to write, 32 to read; WR 16 + 4; WR_SB 4 + 1; MAC 4 + 1; RD_RB 1 + 16; PREA 4.
    counts = dict(zip(ISSUED, outcome.values[COMMANDS].tolist(), strict=True))
    assert {c.name: n for c, n in counts.items() if n} == {
        "ACT": 49,
        "PREA": 4,
        "WR": 20,
        "PIM_WR_SB": 5,
        "PIM_MAC": 5,
        "PIM_RD_RB": 17,
    }
    seen = picojoules(of, outcome)
    # 1.2 V x (57 x 74 - 52 x 52 - 37 x 22) mA tCK x 0.625 ns = 525 pJ a chip and row.
    assert seen["activate"] == pytest.approx(49 * 8 * 525)
    # A read adds 1.2 V x (168 - 52) mA x 2.5 ns = 348 pJ a chip: a MAC 0.6 of it in 16 banks, RD_RB 0.4.
    assert seen["column"] == pytest.approx(5 * 8 * 16 * 348 * 0.6 + 17 * 8 * 348 * 0.4)
    # A write 1.2 V x (150 - 52) mA x 2.5 ns = 294 pJ; WR_SB 0.4 of it.
    assert seen["write"] == pytest.approx(20 * 8 * 294 + 5 * 8 * 294 * 0.4)
    # 1.2 V x (52 - 37) mA x 0.625 ns = 11.25 pJ a chip and cycle with a row open.
    assert seen["standby"] == pytest.approx(int(outcome.values[OPEN_CYCLES]) * 8 * 11.25)
    assert 0 < outcome.values[OPEN_CYCLES] < outcome.cycles
    # 64 bytes x 8 x 5 pJ for each of 42 bursts.
    assert seen["io"] == pytest.approx((20 + 5 + 17) * 2560)
    # A MAC: 8 chips x 16 banks x 4 products of 2 pJ; RD_RB: 16 sums of 0.9 pJ; 2 operations of 10 pJ.
    assert seen["logic"] == pytest.approx(5 * 8 * 16 * 4 * 2 + 17 * 16 * 0.9 + 2 * 10)
    assert seen["refresh"] == 0


def test_a_refresh_by_hand() -> None:
    # 1.2 V x (250 - 37) mA x 350 ns = 89,460 pJ a chip.
    of = kernel(8)
    outcome = attend(of, [1000])
    assert picojoules(of, outcome)["refresh"] == pytest.approx(outcome.refreshes * 8 * 89_460)


def test_all_banks_opened_at_once_take_what_they_take_one_by_one() -> None:
    one, other = kernel(8, refresh=False), kernel(8, refresh=False, all_bank_faw="exempt")
    seen = [picojoules(of, attend(of, [500]))["activate"] for of in (one, other)]
    assert seen[0] == pytest.approx(seen[1])


def test_two_passes_multiply_as_often_as_one() -> None:
    once, twice = kernel(8, n_hc=1), kernel(8, n_hc=1, n_cmr=4)
    seen = [picojoules(of, attend(of, [100])) for of in (once, twice)]
    assert seen[0]["logic"] == pytest.approx(seen[1]["logic"])
    assert seen[0]["column"] < seen[1]["column"]


@given(of=kernels(odd=False), tokens=st.integers(1, 400), more=st.integers(1, 100))
@settings(max_examples=30)
def test_more_tokens_or_groups_never_cost_less(of: Kernel, tokens: int, more: int) -> None:
    total = sum(weights(of).values())
    few, many, two = (attend(of, call) for call in ([tokens], [tokens + more], [tokens, 1]))
    assert set(weights(of)) == set(PARTS)
    assert sum(picojoules(of, few).values()) == pytest.approx(float(few.values @ total))
    for larger in (many, two):
        assert few.cycles <= larger.cycles
        assert few.values @ total <= larger.values @ total
    assert cycles_of(np.array([few.values, two.values])).tolist() == [few.cycles, two.cycles]
