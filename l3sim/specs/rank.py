"""What runs under one DRAM controller: a rank of a module, or a pseudo channel of a stack, and its units.

Cycles (`_tck`) are of one DRAM clock, `tck_ps`. Names are JEDEC's: tRCD is `rcd_tck`, and so on. Which
constraint each of them enters stands in `services/dram/command/constraints.py`. A pseudo channel is a
rank of one chip.
"""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from l3sim.errors import InvalidInput
from l3sim.specs.section import Bytes, Count, Positive, Section

Cycles = Annotated[int, Meta(ge=0, le=1_000_000)]


class ControllerConfig(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a rank and a pseudo channel have alike: DRAM timing, shape, buffers and switches."""

    tck_ps: Count
    bl_tck: Annotated[int, Meta(ge=1, le=64)]  # a burst on the data bus
    ccd_s_tck: Cycles  # column to column, another bank group
    ccd_l_tck: Annotated[int, Meta(ge=1, le=1_000_000)]  # the same bank group; and of a PIM_MAC, at least
    rrd_s_tck: Cycles
    rrd_l_tck: Cycles
    faw_tck: Cycles  # window of four activations
    rcd_tck: Cycles
    ras_tck: Cycles
    rp_tck: Cycles
    rc_tck: Cycles
    cl_tck: Cycles
    wl_tck: Cycles
    wtr_s_tck: Cycles
    wtr_l_tck: Cycles
    wr_tck: Cycles
    rtp_tck: Cycles
    refi_tck: Annotated[int, Meta(ge=1, le=10_000_000)]  # between two refreshes
    rfc_tck: Cycles  # by density
    bank_groups: Annotated[int, Meta(ge=1, le=64)]  # of a chip
    row_bytes: Bytes  # of one bank of one chip
    column_bytes: Annotated[int, Meta(ge=1, le=256)]  # of one burst of one chip
    pipelining: bool = True  # collecting overlaps with computing
    overlap_heads: bool = True  # a head group's rows open while the outputs of the one before are collected
    all_bank_faw: Literal["exempt", "obey"] = "exempt"  # is opening a row of all banks bound by tFAW?
    mac_interval_tck: Cycles = 0  # from PIM_MAC to PIM_MAC, where power allows no more; 0: ccd_l_tck
    refresh: bool = True
    refresh_phase: Annotated[float, Meta(ge=0, lt=1)] = 0.0  # of tREFI that has passed when a call begins
    result_bytes: Annotated[int, Meta(ge=1, le=8)]  # of one collected sum
    result_buffer_bytes: Bytes  # of one unit in a chip
    shared_buffer_bytes: Bytes  # of one chip
    chunk_tokens: Annotated[int, Meta(ge=1, le=65536)]  # computed while the ones before move
    mac_latency_tck: Cycles  # from a column's data to the finished sum

    @property
    def mac_tck(self) -> int:
        """Cycles from one PIM_MAC to the next."""
        return self.mac_interval_tck or self.ccd_l_tck

    def check_interval(self, where: str) -> None:
        """Refuse MACs that come faster than columns.

        Raises:
            InvalidInput: naming the key.
        """
        if 0 < self.mac_interval_tck < self.ccd_l_tck:
            text = f"must be 0 or at least ccd_l_tck ({self.ccd_l_tck}), got {self.mac_interval_tck}"
            raise InvalidInput(("attention.mac_interval_tck", f"{where}: {text}"))


class ChannelConfig(ControllerConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same of a pseudo channel, as a stack's section of a machine file says it."""

    ccd_s_tck: Annotated[int, Meta(ge=1, le=1_000_000)]
    rcd_wr_tck: Cycles  # to a write


class RankConfig(ControllerConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What else the command level reads: chips, and the rank's unit."""

    #: Which table of constraints its controller keeps.
    dram: ClassVar[Literal["ddr", "hbm"]] = "ddr"

    chips_per_rank: Count
    banks_per_chip: Annotated[int, Meta(ge=1, le=256)]
    pu: Literal["bank", "bank-group", "rank"] = "bank"  # where K and V are multiplied
    relayout: Literal["unit", "cpu"] = "unit"  # who puts an element into one chip
    host_transfer_bytes: Annotated[int, Meta(ge=0, le=2**30)] = 0  # written between score and context
    score_buffer_bytes: Bytes  # of one rank's unit
    rank_pu_latency_tck: Cycles  # from a chunk's last sum to its first exponential, and to its last S
    adder_sums_per_s: Positive  # of one rank's unit
    softmax_elements_per_s: Positive  # of one rank's unit

    @property
    def write_rcd_tck(self) -> int:
        """From an activation to a write; as to a read unless the DRAM has two."""
        return self.rcd_tck

    @property
    def unit_banks(self) -> int:
        """Banks of a chip that share a unit."""
        return self.banks_per_chip // self.bank_groups if self.pu == "bank-group" else 1

    @property
    def bank_bytes_per_s(self) -> float:
        """What one bank of one chip gives its unit: a column every CCD_L, or every MAC interval."""
        return self.column_bytes * 1e12 / (self.tck_ps * self.mac_tck)

    @property
    def rank_bytes_per_s(self) -> float:
        """The bus of one rank: a burst of all chips every CCD_S."""
        return self.chips_per_rank * self.column_bytes * 1e12 / (self.tck_ps * self.burst_tck)

    @property
    def burst_tck(self) -> int:
        """Cycles from one burst to the next on a rank's bus."""
        return max(self.bl_tck, self.ccd_s_tck)

    @property
    def row_cycle_ns(self) -> float:
        """Closing a row and opening another: RP + RCD."""
        return (self.rp_tck + self.rcd_tck) * self.tck_ps / 1000


class PseudoChannelConfig(RankConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A pseudo channel of an HBM stack with its part of the buffer die; no section of a machine file."""

    dram: ClassVar[Literal["ddr", "hbm"]] = "hbm"

    rcd_wr_tck: Cycles
    grouped: bool = False  # whether a head lies over the bank groups, or over the banks
    stack_ids: Count = 1  # of the bank groups

    @property
    def write_rcd_tck(self) -> int:
        """See RankConfig; HBM has tRCDRD and tRCDWR."""
        return self.rcd_wr_tck
