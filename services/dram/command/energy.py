"""Energy of commands, above that of a rank that stands by with its rows closed.

Currents are those of the data sheet, in the way of Micron's TN-40-07 ("Calculating memory power for DDR4"):
what a command adds to standing by, times the voltage, times its time, for each chip. (mA x ns x V is pJ.)

| part       | formula, of one chip                                                              |
|------------|-----------------------------------------------------------------------------------|
| activate   | VDD (IDD0 RC - IDD3N RAS - IDD2N (RC - RAS)), an opening and closing of one row     |
| column     | VDD (IDD4R - IDD3N) BL, a read; of it `column_core_share` stays inside the bank     |
| write      | VDD (IDD4W - IDD3N) BL                                                              |
| refresh    | VDD (IDD5B - IDD2N) RFC                                                             |
| standby    | VDD (IDD3N - IDD2N) for the time in which a row is open                             |
| io         | `io_pj_per_bit` for every bit between chips and buffer chip                         |
| logic      | `mac_pj`, `adder_pj`, `softmax_pj` for each operation                                |

A PIM_MAC reads a column in every bank and moves it no further: the core share. PIM_RD_RB and PIM_WR_SB use
the path of a read or a write without the array: what the core does not.
"""

from collections.abc import Mapping

import numpy as np

from l3sim.services.dram.command.columns import COMMANDS, ELEMENTS, OPEN_CYCLES, WIDTH
from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.kernel import Kernel
from l3sim.units import Floats

PARTS = ("activate", "column", "write", "refresh", "standby", "io", "logic")


def weights(kernel: Kernel) -> Mapping[str, Floats]:
    """pJ of each column of a row (see `columns`), by part: shape (WIDTH,) each; they sum to the total.

    Raises:
        TypeError: the kernel is no DIMM's; no currents of others are known.
    """
    pim, at = kernel.dimm, kernel.geometry
    tck_ns = pim.tck_ps / 1000
    read = pim.vdd_v * (pim.idd4r_ma - pim.idd3n_ma) * pim.bl_tck * tck_ns
    write = pim.vdd_v * (pim.idd4w_ma - pim.idd3n_ma) * pim.bl_tck * tck_ns
    rest = pim.idd3n_ma * pim.ras_tck + pim.idd2n_ma * (pim.rc_tck - pim.ras_tck)
    activate = pim.vdd_v * (pim.idd0_ma * pim.rc_tck - rest) * tck_ns
    refresh = pim.vdd_v * (pim.idd5b_ma - pim.idd2n_ma) * pim.rfc_tck * tck_ns
    core, way = pim.column_core_share, 1 - pim.column_core_share
    burst_io = at.chips * at.column_bytes * 8 * pim.io_pj_per_bit
    sums = at.chips * kernel.burst_sums
    # Of one column, over all its passes; several queries may share a pass.
    multiplies = at.column_elements * at.queries / kernel.passes(at.queries)
    by_command: dict[str, dict[Cmd, float]] = {
        "activate": {Cmd.ACT: at.chips * activate, Cmd.ACTA: at.chips * at.banks * activate},
        "column": {
            Cmd.PIM_MAC: at.chips * at.banks * read * core,
            Cmd.PIM_LD_SB: at.chips * read * core,
            Cmd.RD: at.chips * read,
            Cmd.PIM_RD_RB: at.chips * read * way,
        },
        "write": {Cmd.WR: at.chips * write, Cmd.PIM_WR_SB: at.chips * write * way},
        "refresh": {Cmd.REF: at.chips * refresh},
        "io": dict.fromkeys((Cmd.RD, Cmd.WR, Cmd.PIM_RD_RB, Cmd.PIM_WR_SB), burst_io),
        "logic": {
            Cmd.PIM_MAC: at.chips * at.banks * multiplies * pim.mac_pj,
            Cmd.RD: at.chips * multiplies * pim.mac_pj if pim.pu == "rank" else 0.0,
            Cmd.PIM_RD_RB: sums * pim.adder_pj,
        },
    }
    result = {part: np.zeros(WIDTH) for part in PARTS}
    for part, of in by_command.items():
        for command, energy in of.items():
            result[part][COMMANDS][command] = energy
    standby = pim.vdd_v * (pim.idd3n_ma - pim.idd2n_ma) * tck_ns
    result["standby"][OPEN_CYCLES] = at.chips * standby
    result["logic"][ELEMENTS] = pim.softmax_pj
    return result
