"""What a swap asks of what starts and stops devices: a supervisor of processes, or Docker."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from l3sim.specs.machine import Machine
from l3sim.work import Role


@dataclass(frozen=True)
class NewDevices:
    """Devices that are to be started for one role.

    Attributes:
        machine: after the swap; its section has their kind, its slots their number.
        image: of a stranger's container; "": a kind of ours.
        tag: what the ids of all of them begin with.
    """

    role: Role
    machine: Machine
    image: str
    tag: str


class Provisioner(ABC):
    """Starts and stops devices of one machine that runs."""

    #: HOST:PORT of its orchestrator.
    address: str

    def files(self) -> Collection[str]:
        """Files of kinds that the machine may name to whoever swaps: those that its user has named."""
        return ()

    async def name(self, files: Sequence[str]) -> None:  # noqa: B027 - a machine of containers has its image's
        """Let the machine name files of kinds, as its user.

        Raises:
            NotReady: whoever would have to be told does not listen.
        """

    @abstractmethod
    async def start(self, new_devices: Sequence[NewDevices]) -> None:
        """Start devices; they announce themselves a while later.

        Raises:
            NotReady: some could not start.
            InvalidInput: an image that there is not, or that it cannot start.
        """

    @abstractmethod
    async def check(self) -> None:
        """Refuse to wait for devices that were started and have ended since.

        Raises:
            NotReady: naming who, and its last words.
        """

    @abstractmethod
    async def undo(self) -> None:
        """Stop what `start` started, as far as it came."""

    @abstractmethod
    async def retire(self, role: Role) -> None:
        """Stop the role's devices but those that `start` started; a stranger's own process stays."""
