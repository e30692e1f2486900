"""Level `command`: every DRAM command of decode attention, under its timing constraints.

    geometry     where K and V of a head group lie: chip, bank, row, column
    commands     the commands and their operands
    constraints  the timing table
    program      macro commands, and how they are laid down
    kernel       attention as a program
    engine       issues a program as early as legal (compiled)
    result       what it took: cycles by cause, commands, energy
    trace        the same for people to read
    model        what attend calls cost at this level

Only `engine` needs a compiler; it is imported when the level is used. The pseudo channels of
`services/hbm_pim` run the same commands under a table of their own.
"""
