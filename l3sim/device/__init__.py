"""What every device needs: its configuration, its own KV ledger, its books, the order of a session."""

from l3sim.device.configured import ConfiguredDevice
from l3sim.device.identity import Identity
from l3sim.device.ledger import Ledger
from l3sim.device.session import BookkeepingSession

__all__ = ["BookkeepingSession", "ConfiguredDevice", "Identity", "Ledger"]
