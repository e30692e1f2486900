"""A rank as plain memory: the bandwidths that DDR4-3200 allows, in closed form."""

from typing import Any

import pytest

from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.plain import random_rows, stream
from l3sim.services.dram.command.program import Program
from tests.services.dram.command.checker import check
from tests.services.dram.command.kernels import pim_of, run_traced

BURST_BYTES = 64
#: Four banks in four groups each; one bank each of one group.
GROUPS, ONE_GROUP = ((0, 4), (4, 4)), ((0, 1), (4, 1))
BOTH = pytest.mark.parametrize("command", [Cmd.RD, Cmd.WR])


def bandwidth(program: Program, command: Cmd, checked: bool = True, **keys: Any) -> float:
    """Bytes a second from the first command to the end of the last burst's slot, legally where `checked`."""
    pim = pim_of(**keys)
    _, steps = run_traced(pim, program)
    if checked:
        check(pim, steps)
    bursts = [step.cycle for step in steps if step.command == command]
    return len(bursts) * BURST_BYTES * 1e12 / ((bursts[-1] + pim.burst_tck) * pim.tck_ps)


@BOTH
def test_streams_fill_the_bus(command: Cmd) -> None:
    # 64 bytes every 4 tCK of 625 ps are 25.6 GB/s; only the first opening, 12 + RCD, is to be seen.
    seen = bandwidth(stream(command, GROUPS, rows=8, columns=128), command, refresh=False)
    assert 0.97 * 25.6e9 < seen < 25.6e9
    assert seen == pytest.approx(25.6e9 * 16384 / (16384 + 12 + 22), rel=2e-3)


@BOTH
def test_refreshing_takes_its_share(command: Cmd) -> None:
    # Six rows are 12,288 tCK, then RP + RCD and a little for the row change, 560 of every 12,480 for refresh.
    bandwidth(stream(command, GROUPS, rows=14, columns=128, refresh_every=6), command)
    program = stream(command, GROUPS, rows=240, columns=128, refresh_every=6)
    quiet, seen = (bandwidth(program, command, checked=False, refresh=on) for on in (False, True))
    assert seen / quiet == pytest.approx(1 - 560 / 12480, abs=0.002)
    assert 1 - quiet / 25.6e9 < 0.01


@BOTH
def test_one_bank_group_gives_half(command: Cmd) -> None:
    # The same group every CCD_L = 8 tCK.
    seen = bandwidth(stream(command, ONE_GROUP, rows=12, columns=128), command, refresh=False)
    assert seen == pytest.approx(12.8e9, rel=0.01)
    wide = bandwidth(stream(command, ONE_GROUP, rows=12, columns=128), command, refresh=False, ccd_l_tck=16)
    assert wide == pytest.approx(6.4e9, rel=0.01)


@pytest.mark.parametrize(
    ("banks", "ahead", "keys", "every"),
    [
        # Four activations a window of 34 tCK: 4 x 64 B / 21.25 ns = 12.05 GB/s.
        (16, 8, {}, 34 / 4),
        # Without the window, RRD_S; banks in turn are of different groups.
        (16, 4, {"faw_tck": 4, "rrd_s_tck": 6}, 6),
        # Nor that, and with rows that are quick to open again: the bus.
        (16, 5, {"faw_tck": 4, "rc_tck": 40, "ras_tck": 20, "rp_tck": 16}, 4),
        # Few banks: each is opened once every RC = 74.
        (1, 0, {}, 74),
        (2, 0, {}, 74 / 2),
    ],
)
def test_random_rows(banks: int, ahead: int, keys: dict[str, Any], every: float) -> None:
    seen = bandwidth(random_rows(Cmd.RD, banks, 1600, ahead), Cmd.RD, refresh=False, **keys)
    assert seen == pytest.approx(64e12 / (every * 625), rel=0.02)


def test_random_writes_recover_before_their_row_closes() -> None:
    # One bank: RCD + WL + BL + WR + RP = 22 + 16 + 4 + 24 + 22 = 88 tCK a burst.
    seen = bandwidth(random_rows(Cmd.WR, 1, 400, 0), Cmd.WR, refresh=False)
    assert seen == pytest.approx(64e12 / (88 * 625), rel=0.01)


@pytest.mark.parametrize(
    ("program", "keys", "ours", "ramulator", "dramsim"),
    [
        (stream(Cmd.RD, GROUPS, rows=240, columns=128, refresh_every=6), {}, 24.379, 24.357, 24.338),
        (stream(Cmd.RD, ONE_GROUP, rows=480, columns=128, refresh_every=12), {}, 12.189, 12.172, 12.163),
        (random_rows(Cmd.RD, 16, 6400, 8), {"refresh": False}, 12.048, None, 12.049),
    ],
    ids=["four bank groups", "one bank group", "random rows"],
)
def test_peers_simulate_the_same(
    program: Program, keys: dict[str, Any], ours: float, ramulator: float | None, dramsim: float
) -> None:
    """Ramulator 2 and DRAMsim3 on the same DDR4-3200 x8 rank, GB/s, run once and written down.

    Ramulator 2 gives 11.703 GB/s for random rows, 3 % less: its controller opens rows with less overlap.
    """
    seen = bandwidth(program, Cmd.RD, checked=False, **keys) / 1e9
    assert seen == pytest.approx(ours, rel=2e-3)
    for theirs in filter(None, (ramulator, dramsim)):
        assert seen == pytest.approx(theirs, rel=0.01)
