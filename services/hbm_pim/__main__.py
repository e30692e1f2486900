"""`python -m services.hbm_pim`: HBM stacks that compute, as a process."""

import sys

from l3sim.transport.server import device_main
from services.hbm_pim.servicer import HbmPimDevice

if __name__ == "__main__":
    sys.exit(device_main(HbmPimDevice, HbmPimDevice.role, HbmPimDevice.kind, sys.argv[1:]))
