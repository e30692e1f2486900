"""`./l3 compare`: one job on several machines, side by side, and what limits each of them.

app     the command and its options
jobs    runs the job on each machine, in processes of their own
limits  rooflines of the pair, GPU and attention, and the limit that a report points to
tables  the comparison as rows, table and CSV
plot    the rooflines and results as SVG
"""
