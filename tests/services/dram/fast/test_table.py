"""Level `fast` says what level `command` says: over the whole domain, single calls to the cycle.

This tests `build`, too; `model` is tested by `tests/services/dimm_pim/test_levels.py`.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fidelity import samples
from l3sim.placement import layout_of
from l3sim.services.dram.command.columns import COMMANDS, OPEN_CYCLES, cycles_of
from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.kernel import kernel_of
from l3sim.services.dram.command.result import attend
from l3sim.services.dram.fast import build as build_module
from l3sim.services.dram.fast.build import build
from l3sim.services.dram.fast.table import AttendTable
from l3sim.specs.catalog import load_machine, load_model
from tests.services.dram.command.kernels import kernel

#: Kernels whose tables are made quickly: 64 and 128 tokens a row block.
QUICK: list[tuple[int, dict[str, Any]]] = [
    (8, {}),
    (16, {"all_bank_faw": "exempt"}),
    (4, {"n_hc": 2, "overlap_heads": False}),
    (1, {"n_hc": 1, "relayout": "cpu"}),
    (8, {"pipelining": False, "refresh_phase": 0.7}),
    (8, {"n_hc": 1, "n_cmr": 2, "score_buffer_bytes": 65_536}),
    (8, {"host_transfer_bytes": 5000, "refresh": False}),
    # What waits in the buffer grows for five row blocks before it slows the pattern down.
    (16, {"n_hc": 2, "result_buffer_bytes": 2048}),
]
IDS = ["-".join([str(queries), *keys]) for queries, keys in QUICK]


@cache
def table(at: int) -> AttendTable:
    return build(kernel(QUICK[at][0], **QUICK[at][1]))


@pytest.mark.slow
def test_a_sample_of_the_whole_domain() -> None:
    # Every four kernels have all queries and all N_hc; `python -m benchmarks.fidelity` looks at more.
    found = list(samples(seed=20, kernels=4, points=10, most=60_000))
    assert [sample for sample in found if not sample.within] == []
    assert {(sample.settings["queries"], sample.settings["n_hc"]) for sample in found} == {
        (1, 1),
        (4, 2),
        (8, 4),
        (16, 8),
    }
    assert max(sample.requests for sample in found) > 20
    assert all(sample.gap_tck == 0 for sample in found if sample.requests == 1)


@pytest.mark.parametrize("at", range(len(QUICK)), ids=IDS)
@given(tokens=st.integers(1, 6000))
@settings(max_examples=15)
def test_single_calls_are_exact(at: int, tokens: int) -> None:
    of = kernel(QUICK[at][0], **QUICK[at][1])
    told, seen = table(at).call(np.array([tokens])), attend(of, [tokens])
    assert told.cycles == seen.cycles
    assert told.values[COMMANDS].tolist() == seen.values[COMMANDS].tolist()
    assert abs(int(told.values[OPEN_CYCLES] - seen.values[OPEN_CYCLES])) <= told.cycles // 1000


@pytest.mark.parametrize("at", range(len(QUICK)), ids=IDS)
@given(groups=st.lists(st.tuples(st.integers(1, 700), st.booleans()), min_size=2, max_size=6))
@settings(max_examples=10)
def test_calls_of_several_groups(at: int, groups: list[tuple[int, bool]]) -> None:
    """With and without a new token on this rank."""
    of = kernel(QUICK[at][0], **QUICK[at][1])
    tokens, appends = [count for count, _ in groups], [new for _, new in groups]
    for told, seen in (
        (table(at).call(np.array(tokens)).cycles, attend(of, tokens).cycles),
        (table(at).call(np.array(tokens), appends).cycles, attend(of, tokens, appends=appends).cycles),
    ):
        assert abs(told - seen) <= max(0.005 * seen, 2)


@pytest.mark.parametrize("at", range(len(QUICK)), ids=IDS)
def test_twice_the_tokens_where_commands_are_too_many(at: int) -> None:
    # Beyond what the command level runs in a test: a period more is a slope more, up to a segment's end.
    of = kernel(QUICK[at][0], **QUICK[at][1])
    made = table(at)
    period, segment = len(made.slope), made.segment_tokens
    first = len(made.base)
    for start in (first, first + 17):
        periods = (segment - start) // period // 2
        if periods < 1:
            continue
        once, twice = start + periods * period, start + 2 * periods * period
        rows = made.groups(np.array([start, once, twice]))
        assert (rows[2] - rows[1]).tolist() == (rows[1] - rows[0]).tolist()
        slope = cycles_of(rows[1] - rows[0]) // periods
        quiet = attend(of, [start + period]), attend(of, [start])
        still = [one.cycles - one.refreshes * of.pim.rfc_tck for one in quiet]
        assert still[0] - still[1] == slope


def test_the_pattern_goes_on_at_the_largest_context() -> None:
    of, made = kernel(8), table(0)
    for tokens in (131_072, 65_536 + 29):
        assert made.call(np.array([tokens])).cycles == attend(of, [tokens]).cycles


@pytest.mark.slow
def test_a_buffer_that_is_full_late_costs_exactness_but_little() -> None:
    """DDR5 with MHA: after 92 row blocks each takes three cycles more, which no table of a few knows."""
    machine, model = load_machine("l3-dgx-a100-ddr5"), load_model("gpt-175b")
    of = kernel_of(machine.attention, model, layout_of(machine.attention, model, 8, 1))
    made = build(of)
    for tokens, most in ((20_000, 0.0), (30_000, 0.002), (65_536, 0.002)):
        seen = attend(of, [tokens]).cycles
        assert abs(made.call(np.array([tokens])).cycles - seen) <= most * seen


def test_refreshes_of_a_call() -> None:
    made = table(0)
    # W + (k-1) RFC >= k REFI: the first from 12,480 cycles of work on, then one each 12,480 - 560.
    work = np.array([1, 12_479, 12_480, 24_399, 24_400, 12_480 + 11_920 * 99])
    assert made.refreshes(work).tolist() == [0, 0, 1, 1, 2, 100]
    call = made.call(np.array([4096]))
    assert call.command(Cmd.REF) == attend(kernel(8), [4096]).refreshes > 10


@given(tokens=st.integers(1, 200_000), more=st.integers(1, 5000))
def test_more_tokens_never_cost_less(tokens: int, more: int) -> None:
    for at in range(3):
        pair = table(at).group_tck(np.array([tokens, tokens + more]))
        assert pair[0] <= pair[1]


def test_no_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^a head group attends at least 1 token, got 0$"):
        table(0).call(np.array([5, 0]))


def test_what_cannot_be_tabled_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^refreshing takes 560 of every 560 tCK; nothing else would run$"):
        build(kernel(8, refi_tck=560))


def test_a_pattern_that_does_not_go_on_is_refused_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_module, "_found_wrong", lambda *_: "does not go on: [5] take 3, not 4 tCK")
    with pytest.raises(ValueError, match=r"^the command pattern of heads of 128 elements") as told:
        build(kernel(1))
    assert str(told.value).endswith("does not go on: [5] take 3, not 4 tCK; use level command")
    assert "Kernel(" not in str(told.value)
    assert "\n" not in str(told.value)
