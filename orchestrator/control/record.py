"""What is known of one job, apart from its report."""

import json
import re
import sqlite3
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from l3sim.errors import NotFound
from l3sim.orchestrator.engine.progress import Progress

#: Columns of the journal that make a Record.
COLUMNS = (
    "serial, digest, model, policy, workload, warnings, state, attempts, submitted_at, ended_at,"
    " cancel_requested, error_reason, error_message, sequence, progress"
)


class State(StrEnum):
    """Where a job stands; the names that notices on the bus use."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Nothing changes any more."""
        return self not in (State.QUEUED, State.RUNNING)


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is written when a job is accepted.

    Attributes:
        request_id: of the caller, unique; "" when the caller has none.
        spec: the serialised JobSpec, as it came.
        digest: of the job as submitted, resolved against the machine.
        model, policy, workload: names, for lists.
    """

    request_id: str
    spec: bytes
    digest: str
    model: str
    policy: str
    workload: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """One job as the journal knows it.

    Attributes:
        attempts: how often it was started.
        submitted_at, ended_at: RFC 3339, UTC; "" when it has not ended.
        error_reason, error_message: of a failed job, else "".
        sequence: of its last event, once it ended.
        progress: how far it had come when it ended.
    """

    serial: int
    digest: str
    model: str
    policy: str
    workload: str
    warnings: tuple[str, ...]
    state: State
    attempts: int
    submitted_at: str
    ended_at: str
    cancel_requested: bool
    error_reason: str
    error_message: str
    sequence: int
    progress: Progress

    @property
    def job_id(self) -> str:
        """The name that users see."""
        return job_id(self.serial)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended.

    Attributes:
        sequence: of its last event.
        error_reason, error_message: of a failed job, else "".
    """

    state: State
    sequence: int
    error_reason: str = ""
    error_message: str = ""
    progress: Progress = field(default_factory=Progress)

    @property
    def progress_json(self) -> str:
        """As the journal keeps it."""
        return json.dumps(asdict(self.progress))


def job_id(serial: int) -> str:
    """The name of a job: "job-000007"."""
    return f"job-{serial:06d}"


def serial_of(name: str) -> int:
    """The number in a job's name.

    Raises:
        NotFound: no job has such a name.
    """
    match = re.fullmatch(r"job-([0-9]{6,18})", name)
    if match is None:
        raise NotFound(f"no job {name!r}; names look like job-000007, and `l3 jobs` lists them")
    return int(match[1])


def record_from(row: sqlite3.Row) -> Record:
    """A record from a row of COLUMNS."""
    return Record(
        serial=row["serial"],
        digest=row["digest"],
        model=row["model"],
        policy=row["policy"],
        workload=row["workload"],
        warnings=tuple(json.loads(row["warnings"])),
        state=State(row["state"]),
        attempts=row["attempts"],
        submitted_at=row["submitted_at"],
        ended_at=row["ended_at"],
        cancel_requested=bool(row["cancel_requested"]),
        error_reason=row["error_reason"],
        error_message=row["error_message"],
        sequence=row["sequence"],
        progress=Progress(**json.loads(row["progress"])),
    )
