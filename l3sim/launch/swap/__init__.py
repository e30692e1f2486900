"""`./l3 swap ROLE --with KIND|IMAGE|ADDRESS`: other devices in a machine that runs, for the jobs from now on.

app        the command line, and who starts and stops devices: a supervisor's, or Docker's
request      what was asked for, read and refused by name
target     the machine that comes of it
swapping   the steps: start the new, have the orchestrator change machines, stop the old
local      a provisioner that starts and stops processes of `./l3 up`
containers a provisioner that creates and removes containers of a composition
"""
