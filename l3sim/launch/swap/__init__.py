"""`./l3 swap ROLE --with KIND|IMAGE|ADDRESS`: other devices in a machine that runs, for the jobs from now on.

app        the command line, and whose hands do it: a supervisor's, or Docker's
order      what was asked for, read and refused by name
target     the machine that comes of it
swapping   the steps: start the new, have the orchestrator change machines, stop the old
local      hands that start and stop processes of `./l3 up`
containers hands that create and remove containers of a composition
"""
