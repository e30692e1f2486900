"""`python -m l3sim.services.hbm_pim`: HBM stacks that compute, as a process."""

import sys

from l3sim.services.hbm_pim.device import HbmPimDevice
from l3sim.transport.server import device_main

if __name__ == "__main__":
    sys.exit(device_main(HbmPimDevice, HbmPimDevice.role, HbmPimDevice.kind, sys.argv[1:]))
