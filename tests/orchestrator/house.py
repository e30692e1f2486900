"""A manager of jobs over a journal, with a fake engine, bus and clock, for tests of the job service."""

import json
from pathlib import Path
from typing import Any

from l3sim.orchestrator.control.bus_publisher import BusPublisher
from l3sim.orchestrator.control.jobs import JobManager
from l3sim.orchestrator.control.journal import Journal
from l3sim.orchestrator.control.watch import View
from l3sim.testing.bus import MemoryBus
from l3sim.testing.clock import ManualClock
from tests.orchestrator.fakes import Engine, Gate, resolve


class House:
    """A manager and everything around it, over the journal of a folder."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.journal = Journal(folder)
        self.engine, self.gate, self.bus, self.clock = Engine(), Gate(), MemoryBus(), ManualClock()
        publisher = BusPublisher(self.bus, "m", self.clock)
        self.jobs = JobManager(self.journal, resolve, self.engine.run, self.gate, publisher, **options)

    async def __aenter__(self) -> "House":
        await self.jobs.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.jobs.stop()
        self.journal.close()

    async def submit(self, spec: str, request_id: str = "") -> str:
        return (await self.jobs.submit(request_id, spec.encode())).record.job_id

    async def began(self) -> str:
        return (await self.engine.begun.get())[0]

    async def ended(self, job_id: str) -> View:
        """Follow a job to its end."""
        return [view async for view in self.jobs.watch(job_id, 0)][-1]

    def notices(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for where, payload, _ in self.bus.published if where == f"l3/m/{topic}"]
