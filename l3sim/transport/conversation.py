"""One session with a device as a state machine without a network.

The gRPC servicer and the in-process port both speak through it, so that order, version check and errors
are the same by construction:

    (start) --Hello--> open --Window, Estimate, Audit, Functional--> open --Close--> over
       any error --> over
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from l3sim import PROTOCOL_VERSION
from l3sim.device.ledger import MAX_TOKENS
from l3sim.errors import DeviceLost, InvalidInput, InvariantBroken, L3Error, OutOfStep, ProtocolMismatch
from l3sim.functional import FunctionalAnswer, FunctionalRequest
from l3sim.kinds import reason
from l3sim.ports import Device, DeviceSession
from l3sim.work import Account, Commit, Costs, DeviceReady, Hello, Window


class Conversation:
    """One job's conversation with the devices of one process."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._session: DeviceSession | None = None
        self._replicas = 0
        self._over = False

    def hello(self, hello: Hello) -> Sequence[DeviceReady]:
        """Open the session.

        Raises:
            ProtocolMismatch: the peer speaks another version.
            OutOfStep: the session is open already or over.
            InvalidInput, NotFound: as Device.open.
        """
        with self._ending_on_error():
            if self._session is not None or self._over:
                raise OutOfStep("Hello comes first and once in a session; open a new one")
            check_protocol(hello.protocol_version)
            self._session = self._device.open(hello)
            self._replicas = hello.layout.dp
            ready = self._session.ready()
            if [device.slot for device in ready] != [slot.slot for slot in hello.slots]:
                raise InvariantBroken("the device's answer to Hello does not follow the slots of Hello")
            return ready

    def window(self, window: Window) -> Costs:
        """See DeviceSession.window."""
        with self._ending_on_error():
            session = self._open("Window")
            self._check(window)
            return session.window(window)

    def estimate(self, windows: Sequence[Window]) -> Sequence[Costs]:
        """See DeviceSession.estimate."""
        with self._ending_on_error():
            session = self._open("Estimate")
            for window in windows:
                self._check(window)
            return session.estimate(windows)

    def audit(self) -> Sequence[Account]:
        """See DeviceSession.audit."""
        with self._ending_on_error():
            return self._open("Audit").audit()

    def functional(self, work: FunctionalRequest) -> FunctionalAnswer:
        """See DeviceSession.functional."""
        with self._ending_on_error():
            return self._open("Functional").functional(work)

    def close(self, commits: Sequence[Commit]) -> Sequence[Account]:
        """See DeviceSession.close; nothing may follow."""
        with self._ending_on_error():
            accounts = self._open("Close").close(commits)
            self.drop()
            return accounts

    def drop(self) -> None:
        """End the session, whatever its state, and forget its memory."""
        self._session = None
        self._over = True

    def _open(self, what: str) -> DeviceSession:
        if self._session is None:
            state = "is over" if self._over else "has not begun"
            raise OutOfStep(f"{what} in a session that {state}; send Hello first")
        return self._session

    def _check(self, window: Window) -> None:
        """Refuse a window that no books could agree with; what the books say is the session's to check."""
        if not 0 <= window.replica < self._replicas:
            text = f"must be below dp ({self._replicas}), got {window.replica}"
            raise InvalidInput(("window.replica", text))
        name = f"window {window.window_id}"
        if window.rounds < 1:
            raise OutOfStep(f"{name}: must have at least 1 round, got {window.rounds}")
        indices = [batch.index for batch in window.sub_batches]
        if indices not in ([], [0], [1], [0, 1]):
            raise OutOfStep(f"{name}: sub-batches must be 0, 1 or 0 and 1, got {indices}")
        for batch in window.sub_batches:
            if len(batch.decode) != len(batch.context):
                text = f"{len(batch.decode)} decoding requests but {len(batch.context)} contexts"
                raise OutOfStep(f"{name}: {text}")
            if batch.chunks and window.rounds != 1:
                raise OutOfStep(f"{name}: with a prefill chunk it must be 1 round long, got {window.rounds}")
            for chunk in batch.chunks:
                if not 1 <= chunk.tokens <= MAX_TOKENS:
                    text = f"a chunk of request {chunk.request} must have 1 to {MAX_TOKENS} tokens"
                    raise OutOfStep(f"{name}: {text}, got {chunk.tokens}")

    @contextmanager
    def _ending_on_error(self) -> Iterator[None]:
        try:
            yield
        except L3Error:
            self.drop()
            raise
        except Exception as error:
            self.drop()
            raise InvariantBroken(f"device model failed: {reason(error, self._device)}") from error


@contextmanager
def saying() -> Iterator[None]:
    """While an answer becomes a message.

    Raises:
        InvariantBroken: it is none of the contract's, as it is of other types.
    """
    try:
        yield
    except (AttributeError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())
        raise InvariantBroken(f"device answered what the contract cannot say: {text}") from error


def check_protocol(theirs: int) -> None:
    """Compare a peer's version of the contract with ours.

    Raises:
        ProtocolMismatch: they differ.
    """
    if theirs != PROTOCOL_VERSION:
        raise ProtocolMismatch(
            f"the peer speaks protocol version {theirs}, this side {PROTOCOL_VERSION}; "
            "start both from the same release"
        )


def other_window(window_id: int, valid_rounds: int, window: Window) -> str:
    """How an answer does not belong to a window, in words; "" when it does. Ports ask, on their side."""
    if window_id != window.window_id:
        return f"it answered window {window_id} where {window.window_id} was due"
    if not 1 <= valid_rounds <= window.rounds:
        return f"it answered {valid_rounds} rounds where {window.rounds} were asked"
    return ""


def blamed(error: L3Error, slots: Sequence[str]) -> L3Error:
    """The same error, naming the slots that raised it; violations keep their fields."""
    if isinstance(error, InvalidInput | DeviceLost):
        return error
    return type(error)(f"{slot_names(slots)}: {error}")


def slot_names(slots: Sequence[str]) -> str:
    """The slots behind one address in a few words: "dimm-00 +7 more"."""
    if not slots:
        return "device"
    return slots[0] if len(slots) == 1 else f"{slots[0]} +{len(slots) - 1} more"
