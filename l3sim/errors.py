"""One tree for everything that can go wrong; it knows nothing of gRPC.

    L3Error
    ├── InvalidInput         a value that was given is refused; carries field violations
    ├── NotFound             no job, device or file of that name
    ├── Conflict             the same request id with another specification
    ├── NotReady             a role has too few devices, or the job is not in the state asked for
    ├── ProtocolMismatch     a peer speaks another version of the contract
    ├── OutOfRoom            more than a memory or a message holds
    ├── Unsupported          a capability that the device does not list
    ├── OutOfStep            a window contradicts a device's own ledger
    ├── Unreachable          nothing answers at an address
    ├── DeviceLost           a device went away in the middle of a job; carries slot and reason
    ├── InvariantBroken      the simulator contradicts itself; always a bug
    ├── Cancelled            a client asked the job to stop
    └── Interrupted          the orchestrator died too often under this job

`reason` is the stable key: it travels as google.rpc ErrorInfo.reason and is never translated by text.
`exit_code` is what the command line answers with.
"""

from collections.abc import Sequence
from typing import Any, ClassVar


class L3Error(Exception):
    """Anything that goes wrong for a reason we can name. The message is one line, remedy included."""

    reason: ClassVar[str] = "INTERNAL"
    exit_code: ClassVar[int] = 1


class InvalidInput(L3Error):
    """Raised when a value is refused.

    Args:
        violations: (field, what is wrong) pairs, at least one.
    """

    reason = "INVALID_INPUT"
    exit_code = 2

    def __init__(self, *violations: tuple[str, str]) -> None:
        self.violations: Sequence[tuple[str, str]] = violations
        super().__init__("; ".join(f"{field}: {text}" if field else text for field, text in violations))

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors come back from other processes; by itself the text would be taken for the violations.
        return type(self), tuple(self.violations)


class NotFound(L3Error):
    """Raised when there is no job, device or file of that name."""

    reason = "NOT_FOUND"
    exit_code = 2


class Conflict(L3Error):
    """Raised when a request id comes again with another specification."""

    reason = "CONFLICT"
    exit_code = 2


class NotReady(L3Error):
    """Raised when a role has too few devices, or a job is not in the state asked for."""

    reason = "NOT_READY"
    exit_code = 3


class ProtocolMismatch(L3Error):
    """Raised at Hello when a peer speaks another version of the contract."""

    reason = "PROTOCOL_MISMATCH"
    exit_code = 3


class OutOfRoom(L3Error):
    """Raised when something is larger than the memory or message that should hold it."""

    reason = "OUT_OF_ROOM"
    exit_code = 2


class Unsupported(L3Error):
    """Raised when a device is asked for a capability that it does not list."""

    reason = "UNSUPPORTED"


class OutOfStep(L3Error):
    """Raised by a device when a window contradicts its own ledger."""

    reason = "OUT_OF_STEP"


class Unreachable(L3Error):
    """Raised when nothing answers at an address."""

    reason = "UNREACHABLE"
    exit_code = 3


class DeviceLost(L3Error):
    """Raised when a device goes away in the middle of a job.

    Args:
        slot: the slot that it filled ("dimm-07").
        why: what was seen, in a few words.
    """

    reason = "DEVICE_LOST"

    def __init__(self, slot: str, why: str) -> None:
        self.slot = slot
        self.why = why
        super().__init__(f"lost {slot}: {why}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.slot, self.why)


class InvariantBroken(L3Error):
    """Raised when the simulator contradicts itself; always a bug."""

    reason = "INVARIANT_BROKEN"


class Cancelled(L3Error):
    """Raised inside a job that a client asked to stop."""

    reason = "CANCELLED"


class Interrupted(L3Error):
    """Raised when the orchestrator died too often under a job."""

    reason = "INTERRUPTED"
