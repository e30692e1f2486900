"""The ports as small abstract classes; their comments are the contract."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence

from l3sim.errors import Unsupported
from l3sim.functional import FunctionalAnswer, FunctionalRequest
from l3sim.work import Account, Commit, Costs, DeviceDescription, DeviceReady, Hello, Window


class Device(ABC):
    """All devices of one process, as one vectorised object: what a device author writes.

    Pure and synchronous. The gRPC servicer and the in-process transport call it alike.
    """

    @abstractmethod
    def describe(self) -> Sequence[DeviceDescription]:
        """Say who is here. Called at any time, before and during sessions."""

    @abstractmethod
    def open(self, hello: Hello) -> "DeviceSession":
        """Begin a job with the devices that `hello.slots` names; sessions share nothing.

        Raises:
            InvalidInput: a configuration key or value is refused; the field is `slot.key`.
            NotFound: a device id that does not live here.
        """


class DeviceSession(ABC):
    """One job's conversation with the devices of one process."""

    @abstractmethod
    def ready(self) -> Sequence[DeviceReady]:
        """The answer to Hello, in the order of its slots."""

    @abstractmethod
    def window(self, window: Window) -> Costs:
        """Take the window's commits, releases and places, then cost its rounds.

        Raises:
            OutOfStep: it contradicts the ledger (a request unknown, a context that differs, ...).
            OutOfRoom: KV that does not fit.
        """

    @abstractmethod
    def estimate(self, windows: Sequence[Window]) -> Sequence[Costs]:
        """Cost windows that never happen: each stands alone, its places included."""

    def functional(self, work: FunctionalRequest) -> FunctionalAnswer:
        """Compute with data, for the KV heads that lie here. Between windows; KV that windows count is apart.

        Raises:
            Unsupported: this device, or this session's level, computes nothing. That is the default.
            InvalidInput: a tensor or a layer that the model does not have.
            OutOfStep: a request that is not placed, or tokens that do not follow what is there.
            OutOfRoom: KV that does not fit.
        """
        raise Unsupported(f"{type(work).__name__} is functional work, which this device does not do")

    @abstractmethod
    def audit(self) -> Sequence[Account]:
        """The devices' own books, in the order of Hello's slots."""

    @abstractmethod
    def close(self, commits: Sequence[Commit]) -> Sequence[Account]:
        """Take the last commits and answer with the final books."""


class DevicePort(ABC):
    """The orchestrator's end of one session with one address.

    Every call raises DeviceLost when the peer is gone or silent, and the device's own L3Error otherwise.
    Calls answer in the order in which they were made.
    """

    #: Slots behind this port, in the order of Hello.
    slots: tuple[str, ...]
    #: Messages sent and received so far.
    messages: int

    @abstractmethod
    async def hello(self, hello: Hello) -> Sequence[DeviceReady]:
        """Open the session. Called first and once."""

    @abstractmethod
    async def window(self, window: Window) -> Costs:
        """Ask what a window costs. Several replicas' windows may be under way at once."""

    @abstractmethod
    async def estimate(self, windows: Sequence[Window]) -> Sequence[Costs]:
        """Ask what windows would cost that never happen."""

    @abstractmethod
    async def functional(self, work: FunctionalRequest) -> FunctionalAnswer:
        """Compute with data, for the KV heads that lie at this address; see DeviceSession.functional."""

    @abstractmethod
    async def audit(self) -> Sequence[Account]:
        """Ask for the devices' own books, between windows."""

    @abstractmethod
    async def close(self, commits: Sequence[Commit]) -> Sequence[Account]:
        """End the session well and return the final books."""

    @abstractmethod
    async def abort(self) -> None:
        """Drop the session, whatever its state. Never raises."""


class BusPort(ABC):
    """The observation plane. Publishing never waits for the broker and never fails."""

    @abstractmethod
    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send when there is a broker; drop the oldest when the bounded queue is full."""

    @abstractmethod
    def messages(self, topic_filter: str) -> AsyncIterator[tuple[str, bytes]]:
        """Messages on topics that match, retained ones first; goes on after a reconnect."""


class Clock(ABC):
    """Wall time, for time-outs and progress; virtual time never reads it."""

    @abstractmethod
    def monotonic_s(self) -> float:
        """Seconds since some start."""

    @abstractmethod
    async def sleep(self, duration_s: float) -> None:
        """Wait."""


class DeviceSource(ABC):
    """Where a job finds its devices: on the bus, or in this process."""

    @abstractmethod
    def present(self) -> Sequence[tuple[str, DeviceDescription]]:
        """(address, description) of every device that is ready now."""

    @abstractmethod
    def connect(self, address: str) -> DevicePort:
        """A new session with an address; several device ids of one address share it."""

    #: Name of the transport, for the report's `exchange`.
    transport: str
