"""Energy of a stack's attention: bits that its commands move, each as far as the units are, and operations.

| part   | formula                                                                                     |
|--------|---------------------------------------------------------------------------------------------|
| column | bits that a MAC reads in all banks, or in one of each group; at the buffer die those of RD    |
| write  | bits of the new token, from the buffer die into the cells                                    |
| io     | bits of Q, S and sums between units and buffer die                                           |
| logic  | `mac_pj`, `softmax_pj` for each operation                                                    |

A bit costs `cell_pj_per_bit` between cells and bank (opening and closing its row included),
`group_pj_per_bit` on to the bank group, `die_pj_per_bit` on to the TSVs, `tsv_pj_per_bit` through them.
Waiting costs nothing above `module_idle_w`.
"""

from collections.abc import Mapping

import numpy as np

from l3sim.services.dram.command.columns import COMMANDS, ELEMENTS, WIDTH
from l3sim.services.dram.command.commands import Command as Cmd
from l3sim.services.dram.command.kernel import Kernel
from l3sim.specs.config import HbmPimConfig
from l3sim.units import Floats

PARTS = ("column", "write", "io", "logic")


def read_pj_per_bit(hbm: HbmPimConfig) -> float:
    """From a cell to the units."""
    way = {
        "bank": 0.0,
        "bank-group": hbm.group_pj_per_bit,
        "buffer": hbm.group_pj_per_bit + hbm.die_pj_per_bit + hbm.tsv_pj_per_bit,
    }
    return hbm.cell_pj_per_bit + way[hbm.pu]


def weights(hbm: HbmPimConfig, kernel: Kernel) -> Mapping[str, Floats]:
    """pJ of each column of a row (see `columns`), for all pseudo channels that share the head.

    Returns: by part, shape (WIDTH,) each; they sum to the total.
    """
    at, alike = kernel.geometry, hbm.pseudo_channels // hbm.heads_at_once
    bits = at.column_bytes * 8
    outside = hbm.group_pj_per_bit + hbm.die_pj_per_bit + hbm.tsv_pj_per_bit
    multiplies = at.column_elements * at.queries / kernel.passes(at.queries)
    read = alike * bits * read_pj_per_bit(hbm)
    by_command: dict[str, dict[Cmd, float]] = {
        "column": {Cmd.PIM_MAC: at.units * read, Cmd.RD: read},
        # One of the pseudo channels has the new token.
        "write": {Cmd.WR: bits * (hbm.cell_pj_per_bit + outside)},
        "io": dict.fromkeys((Cmd.PIM_WR_SB, Cmd.PIM_RD_RB), alike * bits * outside),
        "logic": {
            Cmd.PIM_MAC: alike * at.units * multiplies * hbm.mac_pj,
            Cmd.RD: alike * multiplies * hbm.mac_pj if hbm.pu == "buffer" else 0.0,
        },
    }
    result = {part: np.zeros(WIDTH) for part in PARTS}
    for part, of in by_command.items():
        for command, energy in of.items():
            result[part][COMMANDS][command] = energy
    result["logic"][ELEMENTS] = alike * hbm.softmax_pj
    return result
