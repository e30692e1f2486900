"""`python -m services.gpu`: the GPU side as a process."""

import sys

from l3sim.transport.server import device_main
from services.gpu.servicer import GpuDevice

if __name__ == "__main__":
    sys.exit(device_main(GpuDevice, GpuDevice.role, GpuDevice.kind, sys.argv[1:]))
