"""Level `fast`: the command level's own periods, carried on.

table   what a head group takes by tokens, and how groups and refreshes add up (numpy only)
build   makes a table with the command level (needs a compiler)
store   finds a table by its digest on disk, or has it built, once a computer
"""
