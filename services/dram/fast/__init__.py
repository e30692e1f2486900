"""Level `fast`: the command level's own periods, carried on.

table        what a head group takes by tokens, and how groups and refreshes add up (numpy only)
build        makes a table with the command level (needs a compiler)
table_cache  finds a table by its digest on disk, or has it built, once a computer
model        what attend calls cost by a table that it is given
fidelity     checks it against the command level inside a job
"""
