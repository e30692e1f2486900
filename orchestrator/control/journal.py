"""The durable list of jobs: SQLite, one file, every change on disk before it is announced.

Calls are synchronous and short; `control/jobs.py` makes them on a thread of its own. One orchestrator at
a time owns a journal, which a lock beside the file proves.

    queued ──start──> running ──finish──> succeeded | failed | cancelled
      │ ▲                │
      │ └────recover─────┘  the orchestrator died; at most MAX_RESTARTS times, then failed (INTERRUPTED)
      └──finish──> cancelled
"""

import contextlib
import fcntl
import json
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from l3sim.errors import Conflict, Interrupted, InvalidInput, NotFound, NotReady
from l3sim.orchestrator.control.record import COLUMNS, Ending, NewJob, Record, State, job_id, record_from

SCHEMA_VERSION = 1
MAX_RESTARTS = 2
#: Artifacts are kept in parts of this size, so that neither SQLite's limit on a value nor memory binds.
PART_BYTES = 1 << 20
#: Sequence numbers of one run of the orchestrator; the next run begins above all of them.
SEQUENCES_PER_RUN = 10**9

_SCHEMA = """
CREATE TABLE runs (run INTEGER PRIMARY KEY AUTOINCREMENT, started_at TEXT NOT NULL) STRICT;
CREATE TABLE jobs (
    serial INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id TEXT UNIQUE,
    spec BLOB NOT NULL,
    digest TEXT NOT NULL,
    model TEXT NOT NULL,
    policy TEXT NOT NULL,
    workload TEXT NOT NULL,
    warnings TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    submitted_at TEXT NOT NULL,
    ended_at TEXT NOT NULL DEFAULT '',
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    error_reason TEXT NOT NULL DEFAULT '',
    error_message TEXT NOT NULL DEFAULT '',
    sequence INTEGER NOT NULL DEFAULT 0,
    progress TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, serial);
CREATE TABLE artifacts (
    serial INTEGER NOT NULL REFERENCES jobs (serial),
    name TEXT NOT NULL,
    part INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (serial, name, part)
) STRICT;
"""


class Journal:
    """The jobs of one machine, in the folder `state`.

    Raises:
        InvalidInput: the folder holds a journal of another schema version, or cannot be used.
        NotReady: another orchestrator owns the folder.
    """

    def __init__(self, state: Path) -> None:
        path = state / "jobs.sqlite3"
        try:
            state.mkdir(parents=True, exist_ok=True)
            self._lock = (state / "jobs.lock").open("w")
        except OSError as error:
            raise InvalidInput(("state", f"cannot use folder {state}: {error.strerror}")) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise NotReady(f"state folder {state} belongs to a running orchestrator; stop it first") from None
        # Transactions are opened by hand (`_change`), so that it shows what is atomic.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        try:
            self._open(path)
            with self._change():
                row = self._db.execute("INSERT INTO runs (started_at) VALUES (?)", (_now(),))
        except sqlite3.DatabaseError as error:
            self.close()
            raise InvalidInput(("state", f"cannot read journal {path}: {error}; move it away")) from None
        except InvalidInput:
            self.close()
            raise
        #: Sequence numbers of this run are above it.
        self.first_sequence = (row.lastrowid or 0) * SEQUENCES_PER_RUN

    def _open(self, path: Path) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            text = f"journal {path} has schema version {version}, this program reads {SCHEMA_VERSION}"
            raise InvalidInput(("state", f"{text}; use another folder or the version that wrote it"))
        if version == 0:
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def close(self) -> None:
        """Let go of the file. Everything that was answered is on disk already."""
        self._db.close()
        self._lock.close()

    def find(self, request_id: str, spec: bytes) -> Record | None:
        """The job that this request made before, if any.

        Raises:
            Conflict: it was made with another specification.
        """
        if not request_id:
            return None
        row = self._db.execute("SELECT serial, spec FROM jobs WHERE request_id = ?", (request_id,)).fetchone()
        if row is None:
            return None
        record = self.get(row[0])
        if row[1] != spec:
            text = f"request id {request_id!r} is taken by {record.job_id} with another specification"
            raise Conflict(f"{text}; use a new id")
        return record

    def accept(self, job: NewJob) -> tuple[Record, bool]:
        """Add a queued job, or return the one that the same request made before.

        Returns: the job, and whether it is new. It is on disk when this returns.

        Raises:
            Conflict: the request id was used with another specification.
        """
        with self._change():
            known = self.find(job.request_id, job.spec)
            if known is not None:
                return known, False
            row = self._db.execute(
                "INSERT INTO jobs (request_id, spec, digest, model, policy, workload, warnings, state,"
                " submitted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job.request_id or None,
                    job.spec,
                    job.digest,
                    job.model,
                    job.policy,
                    job.workload,
                    json.dumps(job.warnings),
                    State.QUEUED.value,
                    _now(),
                ),
            )
        return self.get(row.lastrowid or 0), True

    def get(self, serial: int) -> Record:
        """One job.

        Raises:
            NotFound: there is none.
        """
        row = self._db.execute(f"SELECT {COLUMNS} FROM jobs WHERE serial = ?", (serial,)).fetchone()
        if row is None:
            raise NotFound(f"no job {job_id(serial)}; `l3 jobs` lists those that exist")
        return record_from(row)

    def spec(self, serial: int) -> bytes:
        """The specification of a job, as it was accepted."""
        return bytes(self._db.execute("SELECT spec FROM jobs WHERE serial = ?", (serial,)).fetchone()[0])

    def page(self, before: int | None, size: int) -> list[Record]:
        """At most `size` jobs, newest first, with serials below `before`."""
        rows = self._db.execute(
            f"SELECT {COLUMNS} FROM jobs WHERE serial < ? ORDER BY serial DESC LIMIT ?",
            (before if before is not None else 2**62, size),
        )
        return [record_from(row) for row in rows]

    def start(self, serial: int) -> Record:
        """Mark a queued job as running, one attempt more."""
        self._update(serial, State.QUEUED, "state = ?, attempts = attempts + 1", State.RUNNING.value)
        return self.get(serial)

    def request_cancel(self, serial: int) -> Record:
        """Note that a client asked a running job to stop, so that a restart does not run it again."""
        self._update(serial, State.RUNNING, "cancel_requested = 1")
        return self.get(serial)

    def finish(self, serial: int, ending: Ending, artifacts: Mapping[str, bytes] | None = None) -> Record:
        """End a job: its state and everything that it left, or nothing of both.

        Args:
            artifacts: files by name, "report.json" among them.
        """
        with self._change():
            for name, data in (artifacts or {}).items():
                for part, start in enumerate(range(0, len(data) or 1, PART_BYTES)):
                    row = (serial, name, part, data[start : start + PART_BYTES])
                    self._db.execute("INSERT INTO artifacts VALUES (?, ?, ?, ?)", row)
            changed = self._db.execute(
                "UPDATE jobs SET state = ?, ended_at = ?, sequence = ?, error_reason = ?, error_message = ?,"
                " progress = ? WHERE serial = ? AND state IN ('queued', 'running')",
                (
                    ending.state.value,
                    _now(),
                    ending.sequence,
                    ending.error_reason,
                    ending.error_message,
                    ending.progress_json,
                    serial,
                ),
            )
            if changed.rowcount != 1:
                raise sqlite3.IntegrityError(f"{job_id(serial)} cannot become {ending.state}: it has ended")
        return self.get(serial)

    def artifact_parts(self, serial: int, name: str) -> int:
        """How many parts an artifact of a job has; 0: the job left no such file."""
        query = "SELECT COUNT(*) FROM artifacts WHERE serial = ? AND name = ?"
        return int(self._db.execute(query, (serial, name)).fetchone()[0])

    def artifact_part(self, serial: int, name: str, part: int) -> bytes:
        """One part of an artifact that exists."""
        query = "SELECT data FROM artifacts WHERE serial = ? AND name = ? AND part = ?"
        return bytes(self._db.execute(query, (serial, name, part)).fetchone()[0])

    def recover(self) -> list[Record]:
        """Take up what a dead orchestrator left. Called once, before anything runs.

        A job that ran is queued again, cancelled if a client had asked for that, or failed as INTERRUPTED
        when it was started MAX_RESTARTS + 1 times.

        Returns: the queued jobs in order of acceptance.
        """
        query = f"SELECT {COLUMNS} FROM jobs WHERE state = ? ORDER BY serial"
        sequence = self.first_sequence + 1
        running = [record_from(row) for row in self._db.execute(query, (State.RUNNING.value,))]
        for record in running:
            if record.cancel_requested:
                self.finish(record.serial, Ending(State.CANCELLED, sequence))
            elif record.attempts > MAX_RESTARTS:
                text = f"the orchestrator died {record.attempts} times under this job; look into its log"
                self.finish(record.serial, Ending(State.FAILED, sequence, Interrupted.reason, text))
            else:
                self._update(record.serial, State.RUNNING, "state = ?", State.QUEUED.value)
        return [record_from(row) for row in self._db.execute(query, (State.QUEUED.value,))]

    def _update(self, serial: int, state: State, change: str, *values: object) -> None:
        with self._change():
            row = self._db.execute(
                f"UPDATE jobs SET {change} WHERE serial = ? AND state = ?", (*values, serial, state.value)
            )
            if row.rowcount != 1:
                raise sqlite3.IntegrityError(f"{job_id(serial)} is not {state.value}")

    @contextlib.contextmanager
    def _change(self) -> Iterator[None]:
        """One transaction: on disk when the block ends, undone when it raises."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
