"""What the manager of jobs needs of its neighbours, so that tests can stand in for them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Resolved(Protocol):
    """What the manager reads of a specification that was resolved against the machine."""

    @property
    def digest(self) -> str:
        """Of the job as submitted; its report has that of the job as it ran."""

    @property
    def model(self) -> Any:
        """Has a `name`."""

    @property
    def policy(self) -> str:
        """Its name."""

    @property
    def workload_name(self) -> str:
        """As reports show it."""

    @property
    def warnings(self) -> Sequence[str]:
        """For the client that submits."""


class Document(Protocol):
    """A report, as far as the manager of jobs knows it."""

    def to_dict(self) -> dict[str, Any]:
        """As docs/report.md says."""


class Result(Protocol):
    """What a job that succeeded leaves."""

    @property
    def report(self) -> Document:
        """What it came to."""

    @property
    def artifacts(self) -> Mapping[str, bytes]:
        """Files beside the report, by name."""


class Gate(Protocol):
    """Knows whether the machine is complete; `l3sim.orchestrator.control.discovery` is one."""

    def check(self) -> None:
        """Raise NotReady, naming role, needed and present, when a job could not start now."""

    async def complete(self) -> None:
        """Return once `check` passes."""

    async def recheck(self) -> None:
        """Ask all devices again whether they are there; a job has just lost one."""
