"""A job that is not over yet, and who watches it."""

import asyncio
from dataclasses import dataclass

from l3sim.errors import Unreachable
from l3sim.orchestrator.control.record import Record
from l3sim.orchestrator.engine.progress import Progress


@dataclass(frozen=True, slots=True)
class View:
    """One event of a job: how it stands.

    Attributes:
        sequence: grows with every event, also over restarts of the orchestrator.
    """

    record: Record
    progress: Progress
    sequence: int


class JobEvents:
    """The newest event of one job; older ones are not kept, so that a slow watcher costs nothing.

    Attributes:
        cancel: set once a client asked the job to stop.
        lock: held while its state changes in the journal.
    """

    def __init__(self, record: Record, sequence: int) -> None:
        self.view = View(record, Progress(), sequence)
        self.cancel = asyncio.Event()
        self.lock = asyncio.Lock()
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def record(self) -> Record:
        """How the job stands in the journal."""
        return self.view.record

    def update(self, record: Record | None = None, progress: Progress | None = None) -> View:
        """Make a new event and wake all who wait for it."""
        self.view = View(record or self.view.record, progress or self.view.progress, self.view.sequence + 1)
        self._wake()
        return self.view

    def close(self) -> None:
        """Send every watcher away: the orchestrator stops."""
        self._closed = True
        self._wake()

    async def after(self, sequence: int) -> View:
        """The newest event with a number above `sequence`, when there is one.

        Raises:
            Unreachable: the orchestrator stops.
        """
        while self.view.sequence <= sequence:
            if self._closed:
                raise Unreachable("the orchestrator stops; watch again when it is back, the job is kept")
            await self._changed.wait()
        return self.view

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
