"""A second opinion on what a rank allows: slow, in plain Python, from JEDEC's words and not from our table.

`Rank` keeps what has happened to each bank and on each bus, and says for a command at which cycle each rule
lets it go. `check` walks a trace with it and names the first command that comes too early.

    what a rule is about    kept as
    a row of a bank         open, when it was opened, when it was closed
    a column of a bank      last read and last write of it, and of its bank group
    the chips' data bus     (from, to) of the last burst, and whether it came or went
    the command bus         cycle of the last command
    refresh                 cycle of the last REF; nine intervals may pass, as JEDEC lets eight be postponed
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.specs.rank import RankConfig
from tests.services.dram.command.kernels import Step

LONG_AGO = -(10**9)
#: Bursts from the chips, and to them.
OUT, IN = (Cmd.RD, Cmd.PIM_RD_RB), (Cmd.WR, Cmd.PIM_WR_SB)
#: Columns that are read or written in a bank.
COLUMNS = (Cmd.RD, Cmd.WR, Cmd.PIM_LD_SB)
#: Reads that end inside the chip.
INSIDE = (Cmd.PIM_MAC, Cmd.PIM_LD_SB)
MODE_REGISTER_TCK = 8
POSTPONED = 9


class Illegal(AssertionError):
    """A command that a rank does not allow."""


@dataclass
class Bank:
    """One bank."""

    open: bool = False
    opened: int = LONG_AGO
    closed: int = LONG_AGO
    read: int = LONG_AGO
    written: int = LONG_AGO


@dataclass
class Rank:
    """A rank as its commands have left it."""

    pim: RankConfig
    banks: list[Bank] = field(init=False)
    activations: list[int] = field(default_factory=list)
    last: dict[Cmd, int] = field(default_factory=dict)
    in_group: dict[tuple[Cmd, int], int] = field(default_factory=dict)
    refreshed: int = LONG_AGO
    opened: int = LONG_AGO

    def __post_init__(self) -> None:
        self.banks = [Bank() for _ in range(self.pim.banks_per_chip)]

    def after(self, *commands: Cmd, group: int | None = None) -> int:
        """The last of some commands, in a bank group or anywhere."""
        if group is None:
            return max([self.last.get(command, LONG_AGO) for command in commands])
        return max([self.in_group.get((command, group), LONG_AGO) for command in commands])

    def check_state(self, command: Cmd, bank: int) -> None:
        """Refuse what finds a row open or closed when it should not."""
        if command in (Cmd.ACTA, Cmd.REF) and any(one.open for one in self.banks):
            raise Illegal(f"{command.name} while a row is open")
        if command == Cmd.ACT and self.banks[bank].open:
            raise Illegal(f"ACT of bank {bank}, which is open")
        if command == Cmd.PIM_MAC and not all(one.open for one in self.banks):
            raise Illegal("PIM_MAC while a bank is closed")
        if command in COLUMNS and not self.banks[bank].open:
            raise Illegal(f"{command.name} of bank {bank}, which is closed")

    def earliest(self, command: Cmd, bank: int) -> dict[str, int]:
        """By rule, the first cycle at which it lets a command go."""
        rules = {
            "tRFC": self.refreshed + self.pim.rfc_tck,
            "tMRD": self.after(Cmd.PIM_WR_R) + MODE_REGISTER_TCK,
        }
        if command in (Cmd.ACT, Cmd.ACTA, Cmd.REF):
            rules |= self._opening(command, bank)
        elif command in (Cmd.PRE, Cmd.PREA):
            rules |= self._closing(self.banks if command == Cmd.PREA else [self.banks[bank]])
        elif command in COLUMNS or command == Cmd.PIM_MAC:
            opened = self.opened if command == Cmd.PIM_MAC else self.banks[bank].opened
            rules["tRCD"] = opened + (self.pim.write_rcd_tck if command == Cmd.WR else self.pim.rcd_tck)
            rules |= self._inside(command)
        if command in OUT or command in IN:
            rules |= self._bursts(command, bank % self.pim.bank_groups)
        return rules

    def _opening(self, command: Cmd, bank: int) -> dict[str, int]:
        pim = self.pim
        banks = [self.banks[bank]] if command == Cmd.ACT else self.banks
        rules = {
            "tRP": max(one.closed for one in banks) + pim.rp_tck,
            "tRC": max([one.opened for one in banks]) + pim.rc_tck,
        }
        if command == Cmd.ACT:
            rules["tRRD_S"] = self.after(Cmd.ACT) + pim.rrd_s_tck
            rules["tRRD_L"] = self.after(Cmd.ACT, group=bank % pim.bank_groups) + pim.rrd_l_tck
            if len(self.activations) >= 4:
                rules["tFAW"] = self.activations[-4] + pim.faw_tck
        return rules

    def _closing(self, banks: Iterable[Bank]) -> dict[str, int]:
        pim = self.pim
        return {
            "tRAS": max(bank.opened for bank in banks) + pim.ras_tck,
            "tRTP": max(self.after(Cmd.PIM_MAC), *(bank.read for bank in banks)) + pim.rtp_tck,
            "tWR": max(bank.written for bank in banks) + pim.wl_tck + pim.bl_tck + pim.wr_tck,
        }

    def _inside(self, command: Cmd) -> dict[str, int]:
        """The way from the banks to the edge of the chip, of which a MAC takes every part."""
        pim = self.pim
        if command in INSIDE:
            written = self.after(Cmd.WR) + pim.wl_tck + pim.bl_tck + pim.wtr_l_tck
            return {"path": self.after(*INSIDE, Cmd.RD) + pim.ccd_l_tck, "tWTR_L": written}
        return {"path": self.after(*INSIDE) + pim.ccd_l_tck}

    def _bursts(self, command: Cmd, group: int) -> dict[str, int]:
        """The pins of the chips: one burst at a time, and two cycles to turn from reading to writing."""
        pim = self.pim
        apart = max(pim.ccd_s_tck, pim.bl_tck)
        if command in OUT:
            rules = {
                "pins": self.after(*OUT) + apart,
                "tCCD_L": self.after(*OUT, group=group) + pim.ccd_l_tck,
                "tWTR_S": self.after(*IN) + pim.wl_tck + pim.bl_tck + pim.wtr_s_tck,
            }
            if command == Cmd.RD:
                rules["tWTR_L"] = self.after(Cmd.WR, group=group) + pim.wl_tck + pim.bl_tck + pim.wtr_l_tck
            return rules
        rules = {"pins": self.after(*IN) + apart}
        if command == Cmd.WR:
            rules["tCCD_L"] = self.after(Cmd.WR, group=group) + pim.ccd_l_tck
        gone = self.after(*OUT) + pim.cl_tck + pim.bl_tck  # the last beat of a read has left the pins
        rules["turn"] = max(gone + 2 - pim.wl_tck, self.after(*OUT) + 1)
        return rules

    def take(self, command: Cmd, bank: int, cycle: int) -> None:
        """Let a command happen."""
        self.last[command] = cycle
        self.in_group[command, bank % self.pim.bank_groups] = cycle
        for one in self.banks if command in (Cmd.ACTA, Cmd.PREA) else [self.banks[bank]]:
            if command in (Cmd.ACT, Cmd.ACTA):
                one.open, one.opened = True, cycle
                self.opened = cycle
            elif command in (Cmd.PRE, Cmd.PREA):
                one.open, one.closed = False, cycle
            elif command in (Cmd.RD, Cmd.PIM_LD_SB):
                one.read = cycle
            elif command == Cmd.WR:
                one.written = cycle
        if command == Cmd.ACT:
            self.activations.append(cycle)
        if command == Cmd.REF:
            self.refreshed = cycle


def check(pim: RankConfig, steps: Iterable[Step]) -> None:
    """Refuse a trace that a rank does not allow.

    Raises:
        Illegal: with the command and the rule.
    """
    rank, before, bursts = Rank(pim), -1, LONG_AGO
    due = pim.refi_tck - int(pim.refresh_phase * pim.refi_tck)
    interval = pim.refi_tck if pim.refresh else 0
    for step in steps:
        command, bank, cycle = step.command, step.bank, step.cycle
        if cycle <= before:
            raise Illegal(f"{step}: one command a cycle")
        rank.check_state(command, bank)
        for rule, earliest in rank.earliest(command, bank).items():
            if cycle < earliest:
                raise Illegal(f"{step}: {rule} lets it go at {earliest}")
        if command in OUT or command in IN:
            begins = cycle + (pim.cl_tck if command in OUT else pim.wl_tck)
            if begins < bursts:
                raise Illegal(f"{step}: two bursts on the data bus, at {begins} and up to {bursts}")
            bursts = begins + pim.bl_tck
        if interval and cycle > due + (POSTPONED - 1) * interval:
            raise Illegal(f"{step}: a refresh was due at {due}")
        if command == Cmd.REF:
            if not interval or cycle < due:
                raise Illegal(f"{step}: no refresh is due before {due}")
            due += interval
        rank.take(command, bank, cycle)
        before = cycle
