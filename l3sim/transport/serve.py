"""`python -m l3sim.transport.serve KIND ...`: a process of devices of any kind, ours or another's.

KIND as a machine file says it: a word that a package offers, or the file that has the class
(`./cxl_pim.py`); or the class itself, `module:Class`. The options follow (`--help`).
"""

import sys
from collections.abc import Sequence

from l3sim.errors import InvalidInput, L3Error
from l3sim.kinds import device_class
from l3sim.transport.lifetime import complain
from l3sim.transport.server import device_main

#: What comes before the kind in a command line, after the interpreter.
SERVE = ("-m", "l3sim.transport.serve")


def main(argv: Sequence[str]) -> int:
    """Serve until told to stop; returns the exit code."""
    try:
        if not argv or argv[0].startswith("-"):
            raise InvalidInput(("KIND", "must come first: a kind, FILE.py, FILE.py:CLASS or MODULE:CLASS"))
        found = device_class(argv[0])
    except L3Error as error:
        complain(error)
        return error.exit_code
    return device_main(found, found.role, found.kind, argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
