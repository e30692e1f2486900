"""`python -m l3sim.services.cpu_attention`: the host's memory channels and cores, as a process."""

import sys

from l3sim.services.cpu_attention.device import CpuAttentionDevice
from l3sim.transport.server import device_main

if __name__ == "__main__":
    sys.exit(device_main(CpuAttentionDevice, CpuAttentionDevice.role, CpuAttentionDevice.kind, sys.argv[1:]))
