"""`python -m l3sim.services.gpu`: the GPU side as a process."""

import sys

from l3sim.services.gpu.device import GpuDevice
from l3sim.transport.server import device_main

if __name__ == "__main__":
    sys.exit(device_main(GpuDevice, GpuDevice.role, GpuDevice.kind, sys.argv[1:]))
