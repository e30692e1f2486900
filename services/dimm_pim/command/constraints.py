"""Which command may follow which, and after how many cycles: the table, and nothing else.

A row says: at this level, from any of `before` to any of `after`, at least `cycles`. Levels: `rank`; `group`
(the same bank group); `bank`; `slot` (the same slot of a buffer: the program makes these waits, since only it
knows the slots). Cycles are in tCK, by JEDEC's names; their values are keys of the machine file, which has
their sources; JESD79-4 has the rules. Rows of PIM commands say what they come from: a PIM command is as
slow as the part of the DRAM's own command that it shares.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from l3sim.specs.dimm_pim import DimmPimConfig
from services.dimm_pim.command.commands import ISSUED, Command

Level = Literal["rank", "group", "bank", "slot"]

CYCLES: Mapping[str, Callable[[DimmPimConfig], int]] = {
    "RCD": lambda pim: pim.rcd_tck,
    "RAS": lambda pim: pim.ras_tck,
    "RC": lambda pim: pim.rc_tck,
    "RP": lambda pim: pim.rp_tck,
    "RRD_S": lambda pim: pim.rrd_s_tck,
    "RRD_L": lambda pim: pim.rrd_l_tck,
    "RTP": lambda pim: pim.rtp_tck,
    "RFC": lambda pim: pim.rfc_tck,
    "BL": lambda pim: pim.bl_tck,
    "CCD_L": lambda pim: pim.ccd_l_tck,
    "max(CCD_S, BL)": lambda pim: pim.burst_tck,
    "CL + BL + 2 - WL": lambda pim: max(pim.cl_tck + pim.bl_tck + 2 - pim.wl_tck, 1),
    "WL + BL": lambda pim: pim.wl_tck + pim.bl_tck,
    "WL + BL + WR": lambda pim: pim.wl_tck + pim.bl_tck + pim.wr_tck,
    "WL + BL + WTR_S": lambda pim: pim.wl_tck + pim.bl_tck + pim.wtr_s_tck,
    "WL + BL + WTR_L": lambda pim: pim.wl_tck + pim.bl_tck + pim.wtr_l_tck,
    "max(CL - WL, 1)": lambda pim: max(pim.cl_tck - pim.wl_tck, 1),
    "CL + MAC": lambda pim: pim.cl_tck + pim.mac_latency_tck,
    "8": lambda _: 8,
}


@dataclass(frozen=True)
class Constraint:
    """One row. `cycles` is a key of CYCLES, `source` the rule that it comes from."""

    level: Level
    before: tuple[Command, ...]
    after: tuple[Command, ...]
    cycles: str
    source: str

    def tck(self, pim: DimmPimConfig) -> int:
        """Its cycles on a module."""
        return CYCLES[self.cycles](pim)


JEDEC = "JESD79-4"
ALL_BANKS = "derived: a MAC reads all banks"
PATH = "derived: the column path is shared"
_ANY = " ".join(command.name for command in ISSUED)

_TABLE: tuple[tuple[Level, str, str, str, str], ...] = (
    # Rows.
    ("bank", "ACT", "RD WR PIM_LD_SB", "RCD", JEDEC),
    ("rank", "ACTA", "RD WR PIM_LD_SB", "RCD", JEDEC),
    ("rank", "ACT ACTA", "PIM_MAC", "RCD", ALL_BANKS),
    ("bank", "ACT", "PRE", "RAS", JEDEC),
    ("rank", "ACT ACTA", "PREA", "RAS", JEDEC),
    ("rank", "ACTA", "PRE", "RAS", JEDEC),
    ("bank", "ACT", "ACT", "RC", JEDEC),
    ("rank", "ACT ACTA", "ACTA REF", "RC", JEDEC),
    ("rank", "ACTA", "ACT", "RC", JEDEC),
    ("rank", "ACT", "ACT", "RRD_S", JEDEC),
    ("group", "ACT", "ACT", "RRD_L", JEDEC),
    ("bank", "PRE", "ACT", "RP", JEDEC),
    ("rank", "PREA", "ACT", "RP", JEDEC),
    ("rank", "PRE PREA", "ACTA REF", "RP", JEDEC),
    ("bank", "RD PIM_LD_SB", "PRE", "RTP", JEDEC),
    ("rank", "RD PIM_LD_SB", "PREA", "RTP", JEDEC),
    ("rank", "PIM_MAC", "PRE PREA", "RTP", ALL_BANKS),
    ("bank", "WR", "PRE", "WL + BL + WR", JEDEC),
    ("rank", "WR", "PREA", "WL + BL + WR", JEDEC),
    # Refresh.
    ("rank", "REF", _ANY, "RFC", JEDEC),
    # The outer bus: bursts towards the rank's unit, and away from it.
    ("rank", "RD PIM_RD_RB", "RD PIM_RD_RB", "max(CCD_S, BL)", JEDEC),
    ("rank", "WR PIM_WR_SB", "WR PIM_WR_SB", "max(CCD_S, BL)", JEDEC),
    ("group", "RD PIM_RD_RB", "RD PIM_RD_RB", "CCD_L", JEDEC),
    ("group", "WR", "WR", "CCD_L", JEDEC),
    ("rank", "RD PIM_RD_RB", "WR PIM_WR_SB", "CL + BL + 2 - WL", JEDEC),
    ("rank", "WR PIM_WR_SB", "RD PIM_RD_RB", "WL + BL + WTR_S", JEDEC),
    ("group", "WR", "RD", "WL + BL + WTR_L", JEDEC),
    # The inner bus: column reads that end inside the chip.
    ("rank", "PIM_MAC PIM_LD_SB", "PIM_MAC PIM_LD_SB", "CCD_L", "derived: a column of every bank group"),
    ("rank", "PIM_MAC PIM_LD_SB", "RD WR", "CCD_L", PATH),
    ("rank", "RD", "PIM_MAC PIM_LD_SB", "CCD_L", PATH),
    ("rank", "WR", "PIM_MAC PIM_LD_SB", "WL + BL + WTR_L", "derived: a read after a write in a bank group"),
    # Registers.
    ("rank", "PIM_WR_R", _ANY, "8", "assumed: as tMRD, between mode register writes"),
    # Buffers.
    ("slot", "PIM_WR_SB PIM_LD_SB", "PIM_MAC", "WL + BL", "derived: the burst must have arrived"),
    (
        "slot",
        "PIM_MAC",
        "PIM_WR_SB PIM_LD_SB",
        "max(CL - WL, 1)",
        "derived: the buffer is read with the data",
    ),
    ("slot", "PIM_MAC", "PIM_RD_RB", "CL + MAC", "derived: the sum must be finished"),
    ("slot", "PIM_RD_RB", "PIM_MAC", "BL", "derived: the burst must have left"),
)


def _commands(names: str) -> tuple[Command, ...]:
    return tuple(Command[name] for name in names.split())


CONSTRAINTS = tuple(
    Constraint(level, _commands(before), _commands(after), cycles, source)
    for level, before, after, cycles, source in _TABLE
)

#: Activations that may fall into one window of FAW cycles; ACTA stands outside of it.
ACTIVATIONS_A_WINDOW = 4


def slot_wait(pim: DimmPimConfig, before: Command, after: Command) -> int:
    """Cycles of the `slot` row from one command to another."""
    (row,) = [
        row for row in CONSTRAINTS if row.level == "slot" and before in row.before and after in row.after
    ]
    return row.tck(pim)
