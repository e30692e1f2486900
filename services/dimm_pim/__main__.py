"""`python -m l3sim.services.dimm_pim`: DIMM-PIM modules as a process."""

import sys

from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.transport.server import device_main

if __name__ == "__main__":
    sys.exit(device_main(DimmPimDevice, DimmPimDevice.role, DimmPimDevice.kind, sys.argv[1:]))
