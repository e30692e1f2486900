"""Every switch changes the command stream: commands of 100 tokens, counted by hand.

This tests `attention`, `rank_attention`, `kernel` and `commands`.
"""

from typing import Any

import pytest

from l3sim.services.dram.command.commands import ISSUED
from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.program import Cause, Phase
from l3sim.services.dram.command.result import Outcome, attend
from tests.services.dram.command.kernels import issued, kernel

#: GQA-8, N_hc 1: a token's K is 32 columns of a bank, its V 8 columns in each; 64 tokens a row; two chunks.
BASE = {
    # Write V (16) and K (1), two rows of K and two of V.
    "ACT": 16 + 1 + 2 * 16 + 2 * 16,
    "PREA": 2 + 2 + 2,
    # The new V: 8 columns in 16 banks; K: 32 columns.
    "WR": 8 * 16 + 32,
    # Q: 8 queries of 32 bursts; S: 25 columns of 4 tokens for 8 queries.
    "PIM_WR_SB": 8 * 32 + 25 * 8,
    # K: 4 and 3 tokens a bank, 32 columns each; V: 25 columns of 8 dimensions.
    "PIM_MAC": 7 * 32 + 25 * 8,
    # Two sums a burst. 64 tokens: 4 x 8 / 2 in 16 banks; 36 tokens: 2 x 8 / 2 in 16 and 4 more in 4 banks.
    # Outputs: 8 dimensions x 8 queries / 2 in 16 banks.
    "PIM_RD_RB": 256 + 128 + 16 + 512,
}


def commands(outcome: Outcome) -> dict[str, int]:
    return {command.name: count for command in ISSUED if (count := outcome.command(command))}


@pytest.mark.parametrize(
    ("keys", "change"),
    [
        ({}, {}),
        # Two MACs where a read serves 4 of 8 queries.
        ({"n_cmr": 4}, {"PIM_MAC": 2 * (224 + 200)}),
        # q, k, v of 8 heads: 8 x 10 x 128 elements are 320 bursts, read and written in four banks each.
        ({"relayout": "cpu"}, {"RD": 320, "WR": 160 + 320, "ACT": 81 + 8, "PREA": 8}),
        # All banks at once but for the new K.
        ({"all_bank_faw": "exempt"}, {"ACT": 1, "ACTA": 5}),
        # 5,000 bytes are 79 bursts to a row of four banks.
        ({"host_transfer_bytes": 5000}, {"WR": 160 + 79, "ACT": 81 + 4, "PREA": 7}),
        # 128 bytes hold 8 dimensions of 4 queries: V is read twice, and S sent in halves.
        ({"result_buffer_bytes": 128}, {"PIM_MAC": 224 + 2 * 200, "ACT": 81 + 32, "PREA": 8}),
        # Scores of one row block: two segments of one row, each with an output.
        ({"score_buffer_bytes": 8192}, {"PIM_RD_RB": 912 + 512}),
        # Over 8 chips: 4 columns of K, 1 of V, one row each.
        (
            {"n_hc": 8},
            {
                "ACT": 17 + 32,
                "PREA": 4,
                "WR": 16 + 4,
                "PIM_WR_SB": 8 * 4 + 200,
                "PIM_MAC": 7 * 4 + 25,
                "PIM_RD_RB": 400 + 4 * 16,
            },
        ),
        # Half as many bytes a sum: a burst holds 4.
        ({"result_bytes": 2}, {"PIM_RD_RB": 128 + 64 + 8 + 256}),
    ],
)
def test_commands_by_hand(keys: dict[str, Any], change: dict[str, Any]) -> None:
    of = kernel(8, **{"n_hc": 1, "refresh": False, **keys})
    assert commands(attend(of, [100])) == {**BASE, **change}


@pytest.mark.parametrize(
    ("keys", "tokens", "cause"),
    [
        # The same commands at other times.
        ({"pipelining": False}, [100], Cause.SOFTMAX),
        ({"overlap_heads": False}, [100, 100], Cause.COLLECT),
        # Room for 6 tokens of S beside Q: one column at a time.
        ({"shared_buffer_bytes": 2048 + 6 * 16}, [100], Cause.STREAM),
    ],
)
def test_the_same_commands_later(keys: dict[str, Any], tokens: list[int], cause: Cause) -> None:
    base, changed = attend(kernel(8), tokens), attend(kernel(8, **keys), tokens)
    assert commands(changed) == commands(base)
    assert changed.cycles > base.cycles
    assert changed.cause(cause) > base.cause(cause)


def test_units_at_the_rank_read_everything_over_the_bus() -> None:
    # N_hc 8, one head: a token is 256 bytes, 4 bursts; K and V of 100 tokens, and of the new one.
    seen = commands(attend(kernel(1, pu="rank"), [100]))
    assert (seen["RD"], seen["WR"]) == (2 * 400, 2 * 4)
    assert not {"PIM_MAC", "PIM_RD_RB", "PIM_WR_SB"} & set(seen)
    # A second pass for queries that a read does not serve.
    assert commands(attend(kernel(2, pu="rank", n_cmr=1, n_hc=8), [100]))["RD"] == 1600


def test_refreshes_as_often_as_they_fall_due() -> None:
    quiet, outcome = attend(kernel(8, refresh=False), [2000]), attend(kernel(8), [2000])
    assert outcome.cycles == quiet.cycles + 560 * outcome.refreshes
    assert outcome.refreshes == (quiet.cycles - 560) // (12480 - 560)
    early = attend(kernel(8, refresh_phase=0.9), [200])
    assert early.refreshes == attend(kernel(8), [200]).refreshes + 1


def test_counts_and_cycles_add_up() -> None:
    outcome = attend(kernel(8), [300, 40])
    assert outcome.cycles == outcome.spent.sum() == sum(outcome.cause(cause) for cause in Cause)
    assert issued(outcome) == sum(commands(outcome).values())
    assert outcome.cause(Cause.WRITE) == outcome.cause(Cause.WRITE, phase=Phase.APPEND)
    assert outcome.command(Cmd.PIM_LD_SB) == outcome.command(Cmd.PIM_WR_R) == 0
