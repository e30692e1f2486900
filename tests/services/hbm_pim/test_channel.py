"""A head striped over a stack: its commands by hand, legal and tight programs, never beyond the bandwidth."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.errors import InvalidInput
from l3sim.placement import layout_of
from l3sim.services.dram.command.columns import cycles_of
from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.command.result import attend
from l3sim.services.dram.fast.build import build
from l3sim.services.dram.fast.table import AttendTable
from l3sim.services.hbm_pim.channel import kernel_of
from tests.services.builders import reshaped
from tests.services.dram.command.buffers import check_buffers
from tests.services.dram.command.checker import check
from tests.services.dram.command.kernels import traced
from tests.services.dram.command.replay import reasons
from tests.services.hbm_pim.channels import SWITCHES, calls, kernel, pseudo_channel, stack_of


@pytest.mark.parametrize(
    ("pu", "macs", "reads", "collected"),
    [
        # 512 tokens of K over 32 banks are 16 each, of 8 columns; of V 32 columns for each of 4 dimensions.
        # Sums are collected chunk by chunk, of 64 tokens.
        ("bank", 16 * 8 + 32 * 4, 0, 8 * 32 + 32),
        # Over 8 bank groups: 64 tokens each; 16 dimensions each.
        ("bank-group", 64 * 8 + 32 * 16, 0, 8 * 8 + 8 * 2),
        # Everything crosses the TSVs: 512 tokens of 8 bursts, twice.
        ("buffer", 0, 2 * 512 * 8, 0),
    ],
)
def test_commands_of_a_head_by_hand(pu: str, macs: int, reads: int, collected: int) -> None:
    took = attend(kernel(pu=pu), [512])
    assert took.command(Cmd.PIM_MAC) == macs
    assert took.command(Cmd.RD) == reads
    assert took.command(Cmd.PIM_RD_RB) == collected
    # Q is 8 bursts; S of 512 tokens 32.
    assert took.command(Cmd.PIM_WR_SB) == (8 + 32 if macs else 0)
    # The new token's K is 8 columns of one bank; of V each bank has 4 dimensions, whoever multiplies.
    assert took.command(Cmd.WR) == (8 + 128 if macs else 8 + 8)


def test_a_group_s_unit_has_its_banks_one_after_the_other() -> None:
    _, steps = traced(kernel(pu="bank-group"), [101])
    # Token 100 is the thirteenth of unit 4: its columns 96 to 103, which are 0 to 7 of its fourth bank.
    assert [step.bank for step in steps if step.command == Cmd.ACT] == [4 + 3 * 8]
    written = [step.bank for step in steps if step.command == Cmd.WR]
    # Its V is in the seventh column of 16 tokens: 16 columns from 96 on, in the fourth bank of every unit.
    assert written == [*(bank for _ in range(16) for bank in range(24, 32)), *[28] * 8]


@pytest.mark.parametrize(
    ("on", "channels", "bytes_per_s"),
    [("hbm-pim-dgx-a100", 16, 2.0375e12), ("hbm-pim-dgx-h100", 32, 3.35e12)],
)
def test_a_channel_has_its_part_of_the_stack(on: str, channels: int, bytes_per_s: float) -> None:
    channel, stack = pseudo_channel(on=on), stack_of(on)
    assert stack.pseudo_channels == channels
    assert channel.softmax_elements_per_s * channels == stack.softmax_elements_per_s
    assert channel.score_buffer_bytes * channels == stack.stack_score_buffer_bytes
    # All banks of a channel read 16 times what its bus carries, as published; the buses are the GPU's.
    assert 32 * channel.bank_bytes_per_s == pytest.approx(16 * channel.rank_bytes_per_s)
    assert channels * channel.rank_bytes_per_s == pytest.approx(stack.bus_bytes_per_s)
    assert 5 * stack.bus_bytes_per_s == pytest.approx(bytes_per_s, rel=0.001)


@settings(max_examples=40, deadline=None)
@given(call=calls())
def test_every_program_is_legal_and_tight(call: tuple[Kernel, list[int]]) -> None:
    of, tokens = call
    outcome, steps = traced(of, tokens)
    # A row of all banks is long, and a refresh waits for its end; eight intervals are what JEDEC allows.
    check(of.pim, steps)
    reasons(of.pim, outcome.program, steps)
    if of.pim.pu != "rank":
        check_buffers(of, outcome, steps)


@given(
    tokens=st.lists(st.integers(1, 3000), min_size=1, max_size=3),
    pu=st.sampled_from(["bank", "bank-group", "buffer"]),
    queries=st.sampled_from([1, 8]),
)
@settings(max_examples=20, deadline=None)
def test_never_faster_than_the_bandwidth_of_the_roofline(tokens: list[int], pu: str, queries: int) -> None:
    hbm = stack_of(pu=pu)
    kv_bytes = sum(tokens) * 2 * 128 * 2
    seconds = attend(kernel(queries, pu=pu), tokens).cycles * hbm.channel.tck_ps / 1e12
    assert seconds >= kv_bytes / (hbm.module_bytes_per_s / hbm.pseudo_channels)


#: Kernels of level fast, by queries; those of 8 at banks pile up results for many row blocks.
QUICK: list[tuple[int, dict[str, Any]]] = [
    (1, {}),
    (8, {}),
    (8, {"on": "hbm-pim-dgx-h100"}),
    (16, {"pu": "bank-group", "n_cmr": 4}),
    (4, {"pu": "buffer", "refresh_phase": 0.5}),
    (8, {"all_bank_faw": "obey", "overlap_heads": False, "result_buffer_bytes": 128}),
]


@pytest.mark.parametrize("at", range(len(QUICK)), ids=["-".join([str(q), *keys]) for q, keys in QUICK])
def test_level_fast_says_what_level_command_says(at: int, tables: dict[int, AttendTable]) -> None:
    of = kernel(QUICK[at][0], **QUICK[at][1])
    made = tables.setdefault(at, build(of))

    @given(tokens=st.lists(st.integers(1, 4000), min_size=1, max_size=3))
    @settings(max_examples=10, deadline=None)
    def compare(tokens: list[int]) -> None:
        told, seen = made.call(np.array(tokens)).cycles, attend(of, tokens).cycles
        assert abs(told - seen) <= max(0.005 * seen, 2)
        if len(tokens) == 1:
            assert told == seen

    compare()
    growing = cycles_of(made.groups(np.arange(1, 20_000)))
    assert (np.diff(growing) >= 0).all()


def test_a_random_sample_of_settings_and_calls() -> None:
    rng = np.random.default_rng(6)  # draws each place of the units
    seen: list[str] = []
    while len(seen) < 3:
        keys = {key: values[rng.integers(len(values))] for key, values in SWITCHES.items()}
        try:
            of = kernel(int(rng.choice([1, 4, 8, 16])), **keys)
        except InvalidInput:
            continue
        made = build(of)
        for _ in range(4):
            tokens = np.exp(rng.random(rng.integers(1, 12)) * np.log(3000)).round().astype(np.int64)
            took = attend(of, tokens.tolist()).cycles
            assert abs(made.call(tokens).cycles - took) <= max(0.005 * took, 2), keys
        seen.append(keys["pu"])
    assert set(seen) == {"bank", "bank-group", "buffer"}


@pytest.fixture(scope="module")
def tables() -> dict[int, AttendTable]:
    return {}


def test_a_head_that_does_not_fill_the_units_is_refused() -> None:
    shape = reshaped("llama-2-7b", head_size=80)
    hbm = stack_of(mapping="striped")
    with pytest.raises(InvalidInput) as refused:
        kernel_of(hbm, shape, layout_of(hbm, shape, 1, 1))
    text = (
        "heads of 80 elements do not fill columns of 16 and 32 units; use head_per_channel, or level roofline"
    )
    assert refused.value.violations == (("mapping", text),)


@pytest.mark.parametrize(
    ("key", "value"),
    [("stack_score_buffer_bytes", 16), ("shared_buffer_bytes", 64), ("result_buffer_bytes", 1)],
)
def test_buffers_that_are_too_small_are_refused_by_their_own_name(key: str, value: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        kernel(1, **{key: value})
    assert [field for field, _ in refused.value.violations] == [key]
