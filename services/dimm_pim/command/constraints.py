"""Which command may follow which, and after how many cycles: the table, and nothing else.

A row says: at this level, from any of `before` to any of `after`, at least `cycles`. Levels: `rank`; `group`
(the same bank group); `bank`; `slot` (the same slot of a buffer: the program makes these waits, since only it
knows the slots). Cycles are written in JEDEC's names and read from the machine file, which has their sources;
JESD79-4 has the rules. Rows of PIM commands say how they were derived: a PIM command is as slow as the part of
the DRAM's own command that it shares.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from l3sim.specs.dimm_pim import DimmPimConfig
from services.dimm_pim.command.commands import ISSUED, Command


Level = Literal["rank", "group", "bank", "slot"]
Cycles = Callable[[DimmPimConfig], int]


@dataclass(frozen=True)
class Constraint:
    """One row.

    Attributes:
        formula: as the documentation prints it. source: the rule that it comes from.
    """

    level: Level
    before: tuple[Command, ...]
    after: tuple[Command, ...]
    formula: str
    cycles: Cycles
    source: str


def _row(
    level: Level,
    before: tuple[Command, ...],
    after: tuple[Command, ...],
    formula: str,
    cycles: Cycles,
    source: str,
) -> Constraint:
    return Constraint(level, before, after, formula, cycles, source)


ACTS, PRES = (Command.ACT, Command.ACTA), (Command.PRE, Command.PREA)
#: Bursts on the outer bus: towards the rank's unit, and away from it.
UP, DOWN = (Command.RD, Command.PIM_RD_RB), (Command.WR, Command.PIM_WR_SB)
#: Column reads that end inside the chip.
INNER = (Command.PIM_MAC, Command.PIM_LD_SB)
ROW_READS = (Command.RD, Command.PIM_LD_SB, Command.PIM_MAC)
JEDEC, PIM = "JESD79-4", "derived"

CONSTRAINTS: tuple[Constraint, ...] = (
    # Rows.
    _row("bank", (Command.ACT,), (Command.RD, Command.WR, Command.PIM_LD_SB), "RCD", lambda p: p.rcd_tck, JEDEC),
    _row("rank", (Command.ACTA,), (Command.RD, Command.WR, Command.PIM_LD_SB), "RCD", lambda p: p.rcd_tck, JEDEC),
    _row("rank", ACTS, (Command.PIM_MAC,), "RCD", lambda p: p.rcd_tck, f"{PIM}: a MAC reads all banks"),
    _row("bank", (Command.ACT,), (Command.PRE,), "RAS", lambda p: p.ras_tck, JEDEC),
    _row("rank", ACTS, (Command.PREA,), "RAS", lambda p: p.ras_tck, JEDEC),
    _row("rank", (Command.ACTA,), (Command.PRE,), "RAS", lambda p: p.ras_tck, JEDEC),
    _row("bank", (Command.ACT,), (Command.ACT,), "RC", lambda p: p.rc_tck, JEDEC),
    _row("rank", ACTS, (Command.ACTA, Command.REF), "RC", lambda p: p.rc_tck, JEDEC),
    _row("rank", (Command.ACTA,), (Command.ACT,), "RC", lambda p: p.rc_tck, JEDEC),
    _row("rank", (Command.ACT,), (Command.ACT,), "RRD_S", lambda p: p.rrd_s_tck, JEDEC),
    _row("group", (Command.ACT,), (Command.ACT,), "RRD_L", lambda p: p.rrd_l_tck, JEDEC),
    _row("bank", (Command.PRE,), (Command.ACT,), "RP", lambda p: p.rp_tck, JEDEC),
    _row("rank", PRES, (Command.ACTA, Command.REF), "RP", lambda p: p.rp_tck, JEDEC),
    _row("rank", (Command.PREA,), (Command.ACT,), "RP", lambda p: p.rp_tck, JEDEC),
    _row("bank", (Command.RD, Command.PIM_LD_SB), (Command.PRE,), "RTP", lambda p: p.rtp_tck, JEDEC),
    _row("rank", ROW_READS, (Command.PREA,), "RTP", lambda p: p.rtp_tck, JEDEC),
    _row("rank", (Command.PIM_MAC,), (Command.PRE,), "RTP", lambda p: p.rtp_tck, f"{PIM}: a MAC reads all banks"),
    _row("bank", (Command.WR,), (Command.PRE,), "WL + BL + WR", lambda p: p.wl_tck + p.bl_tck + p.wr_tck, JEDEC),
    _row("rank", (Command.WR,), (Command.PREA,), "WL + BL + WR", lambda p: p.wl_tck + p.bl_tck + p.wr_tck, JEDEC),
    # Refresh.
    _row("rank", (Command.REF,), ISSUED, "RFC", lambda p: p.rfc_tck, JEDEC),
    # The outer bus.
    _row("rank", UP, UP, "max(CCD_S, BL)", lambda p: p.burst_tck, JEDEC),
    _row("rank", DOWN, DOWN, "max(CCD_S, BL)", lambda p: p.burst_tck, JEDEC),
    _row("group", UP, UP, "CCD_L", lambda p: p.ccd_l_tck, JEDEC),
    _row("group", (Command.WR,), (Command.WR,), "CCD_L", lambda p: p.ccd_l_tck, JEDEC),
    _row("rank", UP, DOWN, "CL + BL + 2 - WL", lambda p: max(p.cl_tck + p.bl_tck + 2 - p.wl_tck, 1), JEDEC),
    _row("rank", DOWN, UP, "WL + BL + WTR_S", lambda p: p.wl_tck + p.bl_tck + p.wtr_s_tck, JEDEC),
    _row("group", (Command.WR,), (Command.RD,), "WL + BL + WTR_L", lambda p: p.wl_tck + p.bl_tck + p.wtr_l_tck, JEDEC),
    # The inner bus.
    _row("rank", INNER, INNER, "CCD_L", lambda p: p.ccd_l_tck, f"{PIM}: a column of every bank group"),
    _row("rank", INNER, (Command.RD, Command.WR), "CCD_L", lambda p: p.ccd_l_tck, f"{PIM}: the column path is shared"),
    _row("rank", (Command.RD,), INNER, "CCD_L", lambda p: p.ccd_l_tck, f"{PIM}: the column path is shared"),
    _row(
        "rank", (Command.WR,), INNER, "WL + BL + WTR_L", lambda p: p.wl_tck + p.bl_tck + p.wtr_l_tck,
        f"{PIM}: a read after a write in the same bank group",
    ),
    # Registers.
    _row("rank", (Command.PIM_WR_R,), ISSUED, "8", lambda _: 8, "assumed: as MRD, a mode register write"),
    # Buffers.
    _row(
        "slot", (Command.PIM_WR_SB, Command.PIM_LD_SB), (Command.PIM_MAC,), "WL + BL", lambda p: p.wl_tck + p.bl_tck,
        f"{PIM}: the burst must have arrived",
    ),
    _row(
        "slot", (Command.PIM_MAC,), (Command.PIM_WR_SB, Command.PIM_LD_SB), "max(CL - WL, 1)",
        lambda p: max(p.cl_tck - p.wl_tck, 1), f"{PIM}: the buffer is read with the column's data",
    ),
    _row(
        "slot", (Command.PIM_MAC,), (Command.PIM_RD_RB,), "CL + MAC latency", lambda p: p.cl_tck + p.mac_latency_tck,
        f"{PIM}: the sum must be finished",
    ),
    _row(
        "slot", (Command.PIM_RD_RB,), (Command.PIM_MAC,), "BL", lambda p: p.bl_tck, f"{PIM}: the burst has left the buffer"
    ),
)  # fmt: skip

#: Activations that may fall into one window of FAW cycles; ACTA stands outside of it.
ACTIVATIONS_A_WINDOW = 4


def slot_wait(pim: DimmPimConfig, before: Command, after: Command) -> int:
    """Cycles of the `slot` row from one command to another."""
    (row,) = [
        row for row in CONSTRAINTS if row.level == "slot" and before in row.before and after in row.after
    ]
    return row.cycles(pim)
