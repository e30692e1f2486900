"""DRAM commands under any rank's timing rules: what memory devices build on. No device, and knows none.

command    programs of commands, issued one by one: level `command`
fast       their periods, tabled and carried on: level `fast`
"""
