"""A head on a channel, as in AttAcc: its simulator's cycles and commands, legal programs, level fast.

The reference cycles are those that AttAcc's public simulator (github.com/scale-snu/attacc_simulator, MIT)
keeps of its runs at bank level: HBM3 at 5.2 Gbps, 16 channels a stack, heads of 128 elements and one query.
This tests `grouped`, `grouped_attention` and `build_grouped` of `services/dram`.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from l3sim.errors import InvalidInput
from l3sim.services.dram.command.columns import cycles_of
from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.program import Cause
from l3sim.services.dram.command.result import Outcome, attend
from l3sim.services.dram.fast.build import build
from tests.services.dram.command.checker import check
from tests.services.dram.command.kernels import traced
from tests.services.dram.command.replay import reasons
from tests.services.hbm_pim.channels import SWITCHES, grouped, stack_of

#: The simulator's clock and timing.
PUBLISHED: dict[str, Any] = {
    "on": "hbm-pim-dgx-h100", "tck_ps": 769, "rcd_tck": 19, "rcd_wr_tck": 19, "rp_tck": 19, "ras_tck": 45,
    "rc_tck": 63, "rrd_s_tck": 2, "rrd_l_tck": 4, "faw_tck": 39, "cl_tck": 19, "wl_tck": 6, "wr_tck": 21,
    "rtp_tck": 8, "wtr_s_tck": 8, "wtr_l_tck": 11, "refi_tck": 5070, "rfc_tck": 456,
}  # fmt: skip
#: Heads a stack, tokens, MAC interval (6: its power limit), cycles.
CYCLES = [
    (51, 2048, 6, 16_383),
    (51, 3000, 6, 23_912),
    (51, 4096, 6, 33_043),
    (243, 512, 4, 12_127),
    (243, 1024, 4, 23_967),
    (243, 1024, 6, 32_789),
    (243, 2048, 4, 48_336),
    (243, 2048, 6, 65_566),
]


def run(heads: int, tokens: int, mac: int) -> Outcome:
    """The busiest of 16 channels; each of its two pseudo channels has half of the tokens."""
    of = grouped(1, **PUBLISHED, mac_interval_tck=0 if mac == 4 else mac)
    return attend(of, [-(-tokens // 2)] * -(-heads // 16))


@pytest.mark.parametrize(("heads", "tokens", "mac", "cycles"), CYCLES)
def test_cycles_are_those_of_its_simulator(heads: int, tokens: int, mac: int, cycles: int) -> None:
    outcome = run(heads, tokens, mac)
    # It writes no new token; ours is written beside, 143 cycles a head.
    written = outcome.cause(Cause.WRITE)
    assert written == pytest.approx(143 * -(-heads // 16), rel=0.01)
    assert outcome.cycles - written == pytest.approx(cycles, rel=0.075)
    if tokens >= 1024:
        assert outcome.cycles == pytest.approx(cycles, rel=0.06)


@pytest.mark.parametrize("tokens", [128, 1024, 2048])
def test_commands_are_those_of_its_simulator(tokens: int) -> None:
    # It counts them over all channels: 39,440 MACs of 77 heads at 2,048 tokens, two of which are dummies.
    published = {"PIM_MAC": {128: 32, 1024: 256, 2048: 512}, "PIM_RD_RB": {128: 24, 1024: 48, 2048: 80}}
    took = run(16, tokens, 4)
    assert took.command(Cmd.PIM_MAC) == published["PIM_MAC"][tokens]
    assert took.command(Cmd.PIM_RD_RB) == published["PIM_RD_RB"][tokens]
    # Q in 8 bursts, S in 8 for each 256 tokens.
    assert took.command(Cmd.PIM_WR_SB) == 8 + 8 * -(-tokens // 256)
    # Ours: K and V of the new token, two columns in each of four banks.
    assert took.command(Cmd.WR) == 16


@pytest.mark.parametrize(
    ("heads", "tokens", "us", "limited_us"),
    [(20, 1024, 2.1, 2.9), (39, 2048, 6.7, 9.3), (39, 8192, 28.2, 37.7), (26, 2048, 4.5, 6.1)],
)
def test_a_layer_of_the_machine_is_within_a_tenth(
    heads: int, tokens: int, us: float, limited_us: float
) -> None:
    """Requests of gpt-175b, 8 x 1,024, 16 x 2,048 and 16 x 8,192, and 16 x 2,048 of 64 heads."""
    for mac, expected in ((0, us), (6, limited_us)):
        of = grouped(1, on="hbm-pim-dgx-h100", mac_interval_tck=mac)
        outcome = attend(of, [tokens // 2] * -(-heads // 16))
        assert outcome.cycles * of.pim.tck_ps / 1e6 == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(("head_size", "columns"), [(64, 1), (80, 2), (96, 2), (128, 2), (256, 4)])
def test_any_head_size_fits_padded_to_columns(head_size: int, columns: int) -> None:
    took = attend(grouped(1, head_size), [128])
    # 128 tokens over 8 groups, K and V.
    assert took.command(Cmd.PIM_MAC) == 2 * 16 * columns


def test_queries_beyond_the_buffers_take_turns() -> None:
    one, two = grouped(8), grouped(16)
    assert (one.stage_queries, two.stage_queries) == (8, 8)
    assert attend(two, [500]).command(Cmd.PIM_MAC) == 2 * attend(one, [500]).command(Cmd.PIM_MAC)
    # The new token is written once.
    assert attend(two, [500]).command(Cmd.WR) == attend(one, [500]).command(Cmd.WR) == 16


@st.composite
def calls(draw: st.DrawFn) -> tuple[Any, list[int]]:
    keys = draw(
        st.fixed_dictionaries(
            {}, optional={key: st.sampled_from(of) for key, of in SWITCHES.items() if key != "pu"}
        )
    )
    pu = draw(st.sampled_from(["bank", "bank-group"]))
    try:
        of = grouped(draw(st.sampled_from([1, 4, 8, 16])), pu=pu, **keys)
    except InvalidInput:
        assume(False)
        raise
    return of, draw(st.lists(st.integers(1, 700), min_size=1, max_size=4))


@settings(max_examples=25, deadline=None)
@given(call=calls())
def test_every_program_is_legal_and_tight(call: tuple[Any, list[int]]) -> None:
    of, tokens = call
    outcome, steps = traced(of, tokens)
    check(of.pim, steps)
    reasons(of.pim, outcome.program, steps)


@pytest.mark.parametrize(
    ("queries", "keys", "most"),
    [(1, {}, 0.003), (1, {"on": "hbm-pim-dgx-h100", "mac_interval_tck": 6}, 0.003), (8, {}, 0.03)],
)
def test_level_fast_says_what_level_command_says(queries: int, keys: dict[str, Any], most: float) -> None:
    of = grouped(queries, **keys)
    made = build(of)
    rng = np.random.default_rng(3)
    for tokens in (1, 129, 1000):
        assert made.call(np.array([tokens])).cycles == attend(of, [tokens]).cycles
    for low in (300, 2000):
        for _ in range(4):
            several = rng.integers(low, 2 * low, rng.integers(2, 6))
            seen = attend(of, several.tolist()).cycles
            assert made.call(several).cycles == pytest.approx(seen, rel=most)
    assert (np.diff(cycles_of(made.groups(np.arange(1, 20_000)))) >= 0).all()


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"stack_score_buffer_bytes": 16}, "stack_score_buffer_bytes"),
        ({"shared_buffer_bytes": 64}, "shared_buffer_bytes"),
        ({"result_buffer_bytes": 1}, "result_buffer_bytes"),
        ({"stack_ids": 3}, "stack_ids"),
        ({"row_bytes": 32}, "row_bytes"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_own_name(keys: dict[str, Any], key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        grouped(1, **keys)
    assert [field for field, _ in refused.value.violations] == [key]


def test_pseudo_channels_of_a_head_divide_those_of_a_stack() -> None:
    with pytest.raises(InvalidInput, match="must divide the 16 pseudo channels, got 3"):
        stack_of(head_pseudo_channels=3).check("test")
    with pytest.raises(InvalidInput, match=r"mac_interval_tck: test: must be 0 or at least ccd_l_tck \(4\)"):
        stack_of(mac_interval_tck=3).check("test")
