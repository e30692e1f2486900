"""GPU memory beside the weights: where prefill KV waits until it is down in the DIMMs.

KV of a request's prefill is booked for the whole prompt when its first chunk is planned, and freed at the
first join at or after the end of its last K task (docs/time.md).
"""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Entry:
    booked_bytes: int
    moving_bytes: int = 0
    batches: list[int] = field(default_factory=list)
    closed: bool = False


class GpuMemory:
    """Prefill KV of one replica, over all GPUs of its tensor-parallel group.

    Args:
        room_bytes: what weights and reserve leave.
        token_bytes: KV of one token, all layers.
        layer_bytes: KV of one token, one layer.
    """

    def __init__(self, room_bytes: int, token_bytes: int, layer_bytes: int) -> None:
        self.room_bytes = room_bytes
        self._token_bytes = token_bytes
        self._layer_bytes = layer_bytes
        self._entries: dict[int, _Entry] = {}
        self._leaving: list[_Entry] = []

    def booking(self, tokens: int) -> tuple[int, bool]:
        """Bytes that a prompt books, and whether it must go unchunked in one round.

        A prompt for which there is no room on an empty GPU goes unchunked and books one layer.
        """
        whole = tokens * self._token_bytes
        if whole <= self.room_bytes:
            return whole, False
        return tokens * self._layer_bytes, True

    @property
    def free_bytes(self) -> int:
        """What is not booked."""
        booked = sum(entry.booked_bytes for entry in self._entries.values())
        return self.room_bytes - booked - sum(entry.booked_bytes for entry in self._leaving)

    def book(self, request: int, tokens: int) -> None:
        """Book a prompt whose first chunk is planned."""
        self._entries[request] = _Entry(self.booking(tokens)[0])

    def move(self, request: int, tokens: int) -> None:
        """Note that a request's KV goes down: it keeps its room outside of this memory until then."""
        self._entries[request] = _Entry(0, tokens * self._token_bytes)

    @property
    def moving_bytes(self) -> int:
        """KV that is on its way down from where it stayed."""
        every = [*self._entries.values(), *self._leaving]
        return sum(entry.moving_bytes for entry in every)

    def add_batch(self, request: int, batch: int) -> None:
        """Note that a chunk's KV goes down with this batch of K tasks."""
        if request in self._entries:  # what stays with the GPUs books nothing here
            self._entries[request].batches.append(batch)

    def close(self, request: int) -> None:
        """No further chunk comes: the last was planned, or the request was preempted."""
        entry = self._entries.pop(request, None)
        if entry is not None:
            self._leaving.append(entry)

    def release(self, batch_end_ps: Callable[[int], int]) -> bool:
        """Free, at a join, what has gone down; True when anything was freed.

        Args:
            batch_end_ps: end of a batch, -1 while a task of it waits or runs.
        """
        before = len(self._leaving)
        self._leaving = [
            entry for entry in self._leaving if any(batch_end_ps(batch) < 0 for batch in entry.batches)
        ]
        return len(self._leaving) < before

    @property
    def waits(self) -> bool:
        """Whether booked memory will come free without another round."""
        return bool(self._leaving)
