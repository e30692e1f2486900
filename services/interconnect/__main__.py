"""`python -m l3sim.services.interconnect`: the host interconnect as a process."""

import sys

from l3sim.services.interconnect.device import InterconnectDevice
from l3sim.transport.server import device_main

if __name__ == "__main__":
    sys.exit(device_main(InterconnectDevice, InterconnectDevice.role, InterconnectDevice.kind, sys.argv[1:]))
