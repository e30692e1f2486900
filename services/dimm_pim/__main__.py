"""`python -m services.dimm_pim`: DIMM-PIM modules as a process."""

import sys

from l3sim.transport.server import device_main
from services.dimm_pim.servicer import DimmPimDevice

if __name__ == "__main__":
    sys.exit(device_main(DimmPimDevice, DimmPimDevice.role, DimmPimDevice.kind, sys.argv[1:]))
