"""What the interconnect does to data: nothing. Bytes go through unchanged, and in order on each path.

A *path* is one direction of one rankset of a replica, the same that the timing model has a domain for:

    GPUs --send--> [ replica 0, down, rankset 2 :  k, v of layer 6 | q of layer 6 ] --receive--> modules

What is sent is copied, so that the sender may use its buffer again, and it is handed out once.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

from l3sim.errors import OutOfStep


@dataclass
class PathCount:
    """Bytes of one path since the beginning."""

    sent_bytes: int = 0
    received_bytes: int = 0


@dataclass
class _Lane:
    waiting: deque[bytes] = field(default_factory=deque)
    count: PathCount = field(default_factory=PathCount)


class FunctionalLink:
    """Payloads on their way, by path; any hashable value names a path."""

    def __init__(self) -> None:
        self._lanes: dict[Hashable, _Lane] = {}

    def send(self, path: Hashable, payload: bytes | bytearray | memoryview) -> None:
        """Put a payload behind those that wait on a path."""
        copy = bytes(payload)
        lane = self._lanes.setdefault(path, _Lane())
        lane.waiting.append(copy)
        lane.count.sent_bytes += len(copy)

    def receive(self, path: Hashable) -> bytes:
        """Take the payload that was sent first of those that wait on a path.

        Raises:
            OutOfStep: none waits there.
        """
        lane = self._lanes.get(path)
        if lane is None or not lane.waiting:
            raise OutOfStep(f"nothing waits on path {path!r} of the link; send it first")
        payload = lane.waiting.popleft()
        lane.count.received_bytes += len(payload)
        return payload

    def count(self, path: Hashable) -> PathCount:
        """Bytes of a path so far; what is on its way is the difference."""
        lane = self._lanes.get(path)
        return PathCount() if lane is None else lane.count

    def close(self) -> None:
        """End a job.

        Raises:
            OutOfStep: something was sent that was not received.
        """
        left = {path: len(lane.waiting) for path, lane in self._lanes.items() if lane.waiting}
        if left:
            path, payloads = next(iter(left.items()))
            raise OutOfStep(f"{payloads} payload(s) were never received from path {path!r} of the link")
