"""The commands of a rank: those of DDR4, and those that the PIM adds over the same interface.

| command   | operands                       | what it does                                  | bus   |
| --------- | ------------------------------ | --------------------------------------------- | ----- |
| ACT       | bank, row                      | opens a row                                   | -     |
| ACTA      | row                            | opens it in all banks (only exempt from tFAW) | -     |
| PRE       | bank                           | closes its row                                | -     |
| PREA      |                                | closes all rows                               | -     |
| RD, WR    | bank, column                   | a burst of all chips                          | outer |
| REF       |                                | refreshes; all rows must be closed            | -     |
| PIM_WR_R  | register                       | writes a register of the bank units           | outer |
| PIM_LD_SB | bank, column, buffer slot      | bank to shared buffer                         | inner |
| PIM_WR_SB | buffer slot                    | a burst from the rank's unit to the buffers   | outer |
| PIM_MAC   | column, buffer and result slot | all banks: multiply a column with the buffer  | inner |
| PIM_RD_RB | bank, result slot              | a burst of results to the rank's unit         | outer |

The *inner* bus lies between a bank and its unit, the *outer* bus between the units and the rank's unit on the
buffer chip; they are decoupled. Source of the PIM commands: arXiv 2504.17584. PIM_LD_SB is priced and gated
like the others, though attention over K and V needs none.
"""

from enum import IntEnum


class Command(IntEnum):
    """What a rank's controller issues; NOP and UNIT take no slot on the command bus."""

    ACT = 0
    ACTA = 1
    PRE = 2
    PREA = 3
    RD = 4
    WR = 5
    REF = 6
    PIM_WR_R = 7
    PIM_LD_SB = 8
    PIM_WR_SB = 9
    PIM_MAC = 10
    PIM_RD_RB = 11
    #: Waits for events; the controller's own bookkeeping.
    NOP = 12
    #: Work of the rank's unit: adders and exponentials.
    UNIT = 13


#: Those that stand on the command bus.
ISSUED = tuple(command for command in Command if command < Command.NOP)
#: Those that need no bank operand: they concern all banks, or none.
WHOLE_RANK = frozenset(
    {
        Command.ACTA,
        Command.PREA,
        Command.REF,
        Command.PIM_WR_R,
        Command.PIM_WR_SB,
        Command.PIM_MAC,
    }
)
