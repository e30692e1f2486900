"""What the modules compute, bit by bit: the same command stream that the command level times, with data.

memory          the chips' bytes, and which head group owns which row
relayout        how K and V get from the host's bytes into the chips, and back
numeric         sums that are the same on any computer
operands        what each run of commands works on
effects         when each command reads and writes
bank_unit       shared buffer, multipliers, result buffer
rank_unit       adders, softmax, outputs
execute         runs a command stream on the bytes
rank            one rank: write, read, attend, release
session_memory  all ranks of a process, by request, layer and head
"""
