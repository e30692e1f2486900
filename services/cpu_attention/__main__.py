"""`python -m services.cpu_attention`: the host's memory channels and cores, as a process."""

import sys

from l3sim.transport.server import device_main
from services.cpu_attention.servicer import CpuAttentionDevice

if __name__ == "__main__":
    sys.exit(device_main(CpuAttentionDevice, CpuAttentionDevice.role, CpuAttentionDevice.kind, sys.argv[1:]))
