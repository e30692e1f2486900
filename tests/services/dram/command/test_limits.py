"""Large calls against closed forms: what the banks, the activations, the refresh and the bus allow."""

import pytest

from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.program import Cause, Phase
from l3sim.services.dram.command.result import attend
from tests.services.dram.command.kernels import kernel

TOKENS = 16_384
#: A row of K: 128 columns a bank, one each CCD_L = 8.
ROW_COMPUTE = 1024
#: From one row's last column to the next one's first: RTP 12 + RP 22, sixteen ACTs (four windows of 34, less
#: the end of the last one: 3 x 34 + 3 x 4), RCD 22.
ROW_OPENING = 12 + 22 + 114 + 22


def test_banks_give_their_units_eight_bytes_every_ccd_l() -> None:
    outcome = attend(kernel(1, refresh=False), [TOKENS])
    macs = outcome.command(Cmd.PIM_MAC)
    assert outcome.cause(Cause.COMPUTE) == pytest.approx(8 * macs, rel=0.01)
    # K and V, 2 x 128 x 2 bytes a token, at 8 chips x 16 banks x 8 bytes every 5 ns = 204.8 GB/s.
    seconds = outcome.cause(Cause.COMPUTE) * 625e-12
    assert TOKENS * 512 / seconds == pytest.approx(204.8e9, rel=0.01)


@pytest.mark.parametrize(("activation", "opening"), [("obey", ROW_OPENING), ("exempt", 12 + 22 + 22)])
def test_opening_all_banks_is_bound_by_the_window(activation: str, opening: int) -> None:
    outcome = attend(kernel(1, refresh=False, all_bank_faw=activation), [TOKENS])
    rows = 2 * TOKENS // 512
    assert outcome.cause(Cause.ROW) / rows == pytest.approx(opening, rel=0.01)


def test_a_mac_interval_slows_macs_and_nothing_else() -> None:
    plain, slow = (attend(kernel(1, refresh=False, mac_interval_tck=mac), [TOKENS]) for mac in (0, 12))
    assert slow.cause(Cause.COMPUTE) == pytest.approx(1.5 * plain.cause(Cause.COMPUTE), rel=0.01)
    assert slow.command(Cmd.PIM_MAC) == plain.command(Cmd.PIM_MAC)
    assert slow.cause(Cause.ROW) == pytest.approx(plain.cause(Cause.ROW), rel=0.01)


def test_refresh_takes_its_share() -> None:
    quiet, outcome = (attend(kernel(1, refresh=on), [8 * TOKENS]).cycles for on in (False, True))
    assert quiet / outcome == pytest.approx(1 - 560 / 12480, rel=0.001)


def test_collecting_is_bound_by_the_bus() -> None:
    # GQA-8 over 8 chips: T_comm = L x 8 x 8 x 4 B / 25.6 GB/s = 10 ns = 16 tCK a token.
    outcome = attend(kernel(8, n_hc=8, refresh=False), [TOKENS])
    assert outcome.spent[Phase.SCORE].sum() / TOKENS == pytest.approx(16, rel=0.02)


@pytest.mark.parametrize("queries", [1, 4, 8, 16])
@pytest.mark.parametrize("n_hc", [1, 2, 4, 8])
def test_bubbles_begin_where_the_formula_says_but_for_row_openings(queries: int, n_hc: int) -> None:
    # N_hc <= E_h B_rk / (B_bk N_bk N_gqa N_chips) = 128 x 6.4e9 / (0.8e9 x 16 x 8 x N_gqa) = 8 / N_gqa.
    # A row block computes for 1024 tCK and is collected in 1024 N_hc / bound. The formula leaves out that
    # the banks stand still while a row opens, 170 tCK, in which collecting goes on: so bubbles would begin
    # at 1194 / 1024 = 1.17 times the bound. No power of two lies between.
    outcome = attend(
        kernel(queries, n_hc=n_hc, refresh=False, score_buffer_bytes=2**26, shared_buffer_bytes=2**16),
        [TOKENS],
    )
    score = outcome.spent[Phase.SCORE]
    collect, compute = ROW_COMPUTE * n_hc * queries / 8, ROW_COMPUTE + ROW_OPENING
    bubbles = max(1 - compute / collect, 0)
    assert score[Cause.COLLECT] / score.sum() == pytest.approx(bubbles, abs=0.02)
    assert (bubbles > 0) == (n_hc > 8 / queries)


def test_without_row_openings_the_bound_is_sharp() -> None:
    # All that opens a row made nearly free: GQA-8 at N_hc 1 collects exactly as fast as it computes.
    free = {"rp_tck": 1, "rcd_tck": 1, "rtp_tck": 1, "ras_tck": 1, "rc_tck": 2, "all_bank_faw": "exempt"}
    outcome = attend(kernel(8, refresh=False, score_buffer_bytes=2**26, **free), [TOKENS])
    score = outcome.spent[Phase.SCORE]
    assert score.sum() / (TOKENS // 64) == pytest.approx(ROW_COMPUTE, rel=0.02)
