"""`python -m l3sim`: the command line, as `l3` and `./l3` run it."""

import sys

from l3sim.launch.cli import entry

if __name__ == "__main__":
    sys.exit(entry())
