"""What every device needs: its configuration, its own KV ledger, its books, the order of a session.

A configuration of one's own is a struct upon what the machine reads of its role: `ModuleSection` (attention
devices that hold whole heads), `AttentionSection` (any others), `GpuSection` or `LinkSection`.
"""

from l3sim.device.configured import ConfiguredDevice
from l3sim.device.identity import Identity
from l3sim.device.ledger import Ledger
from l3sim.device.session import BookkeepingSession
from l3sim.specs.attention import AttentionSection
from l3sim.specs.foreign import GpuSection, LinkSection, ModuleSection

__all__ = [
    "AttentionSection",
    "BookkeepingSession",
    "ConfiguredDevice",
    "GpuSection",
    "Identity",
    "Ledger",
    "LinkSection",
    "ModuleSection",
]
