"""Which command may follow which, and after how many cycles: the tables, and nothing else.

There is one for the rank of a DIMM and one for the pseudo channel of an HBM stack; inside the chips they
agree.

A row says: at this level, from any of `before` to any of `after`, at least `cycles`. Levels: `rank`; `group`
(the same bank group); `bank`; `slot` (the same slot of a buffer: the program makes these waits, since only it
knows the slots). Cycles are in tCK, by JEDEC's names; their values are keys of the machine file, which has
their sources; JESD79-4 has the rules of DDR4, JESD235 and JESD238 those of HBM2 and HBM3. Rows of PIM
commands say what they come from: a PIM command is as slow as the part of the DRAM's own command that it
shares.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from l3sim.services.dram.command.commands import ISSUED, Command
from l3sim.specs.rank import RankConfig

Level = Literal["rank", "group", "bank", "slot"]

CYCLES: Mapping[str, Callable[[RankConfig], int]] = {
    "RCD": lambda pim: pim.rcd_tck,
    "RCDWR": lambda pim: pim.write_rcd_tck,
    "RAS": lambda pim: pim.ras_tck,
    "RC": lambda pim: pim.rc_tck,
    "RP": lambda pim: pim.rp_tck,
    "RRD_S": lambda pim: pim.rrd_s_tck,
    "RRD_L": lambda pim: pim.rrd_l_tck,
    "RTP": lambda pim: pim.rtp_tck,
    "RFC": lambda pim: pim.rfc_tck,
    "BL": lambda pim: pim.bl_tck,
    "CCD_L": lambda pim: pim.ccd_l_tck,
    "MAC_TO_MAC": lambda pim: pim.mac_tck,
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

    def tck(self, pim: RankConfig) -> int:
        """Its cycles on a module."""
        return CYCLES[self.cycles](pim)


JEDEC = "JESD79-4"
HBM = "JESD235, JESD238"
ALL_BANKS = "derived: a MAC reads all banks"
PATH = "derived: the column path is shared"
_ANY = " ".join(command.name for command in ISSUED)

Rows = tuple[tuple[Level, str, str, str, str], ...]

#: The part that the PIM adds, the same in any chip.
_INSIDE: Rows = (
    # The inner bus: column reads that end inside the chip.
    ("rank", "PIM_MAC", "PIM_MAC", "MAC_TO_MAC", "derived: a column of every bank group, and power"),
    ("rank", "PIM_MAC", "PIM_LD_SB", "CCD_L", "derived: a column of every bank group"),
    ("rank", "PIM_LD_SB", "PIM_MAC PIM_LD_SB", "CCD_L", "derived: a column of every bank group"),
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


def _any_dram(rule: str, turn: str) -> Rows:
    """What DDR and HBM have in common.

    Args:
        rule: the standard. turn: where the cycles come from in which a bus turns from reading to writing.
    """
    return (
        ("rank", "ACT ACTA", "PIM_MAC", "RCD", ALL_BANKS),
        ("bank", "ACT", "PRE", "RAS", rule),
        ("rank", "ACT ACTA", "PREA", "RAS", rule),
        ("rank", "ACTA", "PRE", "RAS", rule),
        ("bank", "ACT", "ACT", "RC", rule),
        ("rank", "ACT ACTA", "ACTA REF", "RC", rule),
        ("rank", "ACTA", "ACT", "RC", rule),
        ("rank", "ACT", "ACT", "RRD_S", rule),
        ("group", "ACT", "ACT", "RRD_L", rule),
        ("bank", "PRE", "ACT", "RP", rule),
        ("rank", "PREA", "ACT", "RP", rule),
        ("rank", "PRE PREA", "ACTA REF", "RP", rule),
        ("bank", "RD PIM_LD_SB", "PRE", "RTP", rule),
        ("rank", "RD PIM_LD_SB", "PREA", "RTP", rule),
        ("rank", "PIM_MAC", "PRE PREA", "RTP", ALL_BANKS),
        ("bank", "WR", "PRE", "WL + BL + WR", rule),
        ("rank", "WR", "PREA", "WL + BL + WR", rule),
        # Refresh.
        ("rank", "REF", _ANY, "RFC", rule),
        # The outer bus: bursts towards the rank's unit, and away from it.
        ("rank", "RD PIM_RD_RB", "RD PIM_RD_RB", "max(CCD_S, BL)", rule),
        ("rank", "WR PIM_WR_SB", "WR PIM_WR_SB", "max(CCD_S, BL)", rule),
        ("group", "RD PIM_RD_RB", "RD PIM_RD_RB", "CCD_L", rule),
        ("group", "WR", "WR", "CCD_L", rule),
        ("rank", "RD PIM_RD_RB", "WR PIM_WR_SB", "CL + BL + 2 - WL", turn),
        ("rank", "WR PIM_WR_SB", "RD PIM_RD_RB", "WL + BL + WTR_S", rule),
        ("group", "WR", "RD", "WL + BL + WTR_L", rule),
        *_INSIDE,
    )


_DDR: Rows = (
    ("bank", "ACT", "RD WR PIM_LD_SB", "RCD", JEDEC),
    ("rank", "ACTA", "RD WR PIM_LD_SB", "RCD", JEDEC),
    *_any_dram(JEDEC, JEDEC),
)

#: A pseudo channel, with the banks of all its stack ids; its outer bus are the TSVs to the buffer die.
_HBM: Rows = (
    ("bank", "ACT", "RD PIM_LD_SB", "RCD", HBM),
    ("bank", "ACT", "WR", "RCDWR", HBM),
    ("rank", "ACTA", "RD PIM_LD_SB", "RCD", HBM),
    ("rank", "ACTA", "WR", "RCDWR", HBM),
    *_any_dram(HBM, "assumed: as of DDR4"),
)


def _commands(names: str) -> tuple[Command, ...]:
    return tuple(Command[name] for name in names.split())


def _read(rows: Rows) -> tuple[Constraint, ...]:
    return tuple(
        Constraint(level, _commands(before), _commands(after), cycles, source)
        for level, before, after, cycles, source in rows
    )


CONSTRAINTS = _read(_DDR)
HBM_CONSTRAINTS = _read(_HBM)

#: Activations that may fall into one window of FAW cycles; ACTA stands outside of it.
ACTIVATIONS_A_WINDOW = 4


def constraints_of(pim: RankConfig) -> tuple[Constraint, ...]:
    """The table that a controller keeps."""
    return HBM_CONSTRAINTS if pim.dram == "hbm" else CONSTRAINTS


def slot_wait(pim: RankConfig, before: Command, after: Command) -> int:
    """Cycles of the `slot` row from one command to another."""
    (row,) = [
        row
        for row in constraints_of(pim)
        if row.level == "slot" and before in row.before and after in row.after
    ]
    return row.tck(pim)
