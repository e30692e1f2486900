"""`python -m services.interconnect`: the host interconnect as a process."""

import sys

from l3sim.transport.server import device_main
from services.interconnect.servicer import InterconnectDevice

if __name__ == "__main__":
    sys.exit(device_main(InterconnectDevice, InterconnectDevice.role, InterconnectDevice.kind, sys.argv[1:]))
