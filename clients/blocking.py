"""`Client` for scripts and notebooks: the same calls, which block until there is an answer.

    with BlockingClient() as machine:
        job, warnings = machine.submit(job_spec("openr1", requests=200))
        machine.wait(job.job_id)
        print(machine.report(job.job_id).throughput_tokens_per_s)

It adds nothing of its own: each call runs that of `Client` on a thread in the background and waits for it.
"""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from l3sim.clients.background import Background
from l3sim.clients.client import CALL_RETRIES_S, WATCH_RETRIES_S, Client
from l3sim.clients.result import Result
from l3sim.reports import Report
from l3sim.specs.job import JobSpec
from l3sim.v1 import job_pb2, machine_pb2


class BlockingClient:
    """One machine's jobs and devices; use it as a context manager, or `close` it.

    Args and errors: see `Client`.
    """

    def __init__(
        self,
        address: str | None = None,
        call_retries_s: Sequence[float] = CALL_RETRIES_S,
        watch_retries_s: Sequence[float] = WATCH_RETRIES_S,
    ) -> None:
        self._client = Client(address, call_retries_s, watch_retries_s)
        self._background: Background | None = None

    def __enter__(self) -> Self:
        self._connected()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def address(self) -> str:
        """HOST:PORT of the machine."""
        return self._client.address

    def close(self) -> None:
        """Let go of the machine; the next call connects again."""
        if (background := self._background) is not None:
            self._background = None
            with background:  # its thread ends whatever becomes of the connection
                background.run(self._client.__aexit__(None, None, None))

    def submit(self, spec: JobSpec, request_id: str | None = None) -> tuple[job_pb2.Job, list[str]]:
        """See Client.submit."""
        return self._connected().run(self._client.submit(spec, request_id))

    def get(self, job_id: str) -> job_pb2.Job:
        """See Client.get."""
        return self._connected().run(self._client.get(job_id))

    def jobs(self) -> list[job_pb2.Job]:
        """See Client.jobs."""
        return self._connected().run(self._client.jobs())

    def watch(self, job_id: str, after_sequence: int = 0) -> Iterator[job_pb2.Job]:
        """See Client.watch."""
        return self._connected().iterate(lambda: self._client.watch(job_id, after_sequence))

    def wait(self, job_id: str) -> job_pb2.Job:
        """See Client.wait."""
        return self._connected().run(self._client.wait(job_id))

    def cancel(self, job_id: str) -> job_pb2.Job:
        """See Client.cancel."""
        return self._connected().run(self._client.cancel(job_id))

    def report(self, job_id: str) -> Report:
        """See Client.report."""
        return self._connected().run(self._client.report(job_id))

    def report_json(self, job_id: str) -> str:
        """See Client.report_json."""
        return self._connected().run(self._client.report_json(job_id))

    def artifact(self, job_id: str, name: str) -> bytes:
        """See Client.artifact."""
        return self._connected().run(self._client.artifact(job_id, name))

    def artifacts(self, job_id: str) -> dict[str, bytes]:
        """See Client.artifacts."""
        return self._connected().run(self._client.artifacts(job_id))

    def result(self, job_id: str) -> Result:
        """See Client.result."""
        return self._connected().run(self._client.result(job_id))

    def machine(self) -> machine_pb2.GetMachineResponse:
        """See Client.machine."""
        return self._connected().run(self._client.machine())

    def change_machine(self, resolved_yaml: str) -> None:
        """See Client.change_machine."""
        self._connected().run(self._client.change_machine(resolved_yaml))

    def devices(self) -> list[machine_pb2.DeviceState]:
        """See Client.devices."""
        return self._connected().run(self._client.devices())

    def _connected(self) -> Background:
        if self._background is None:
            background = Background()
            try:
                background.run(self._opened())
            except BaseException:
                background.close()
                raise
            self._background = background
        return self._background

    async def _opened(self) -> Any:
        return await self._client.__aenter__()
