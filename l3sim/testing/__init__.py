"""What tests of any part need: an in-memory bus, a manual clock, builders, a device without physics."""

from l3sim.testing.bus import MemoryBus
from l3sim.testing.clock import ManualClock
from l3sim.testing.fakes import FakeDevice

__all__ = ["FakeDevice", "ManualClock", "MemoryBus"]
