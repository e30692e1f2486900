"""The durable list of jobs."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from l3sim.errors import Conflict, InvalidInput, NotFound, NotReady
from l3sim.orchestrator.control.journal import MAX_RESTARTS, PART_BYTES, Journal
from l3sim.orchestrator.control.record import Ending, NewJob, State, serial_of
from l3sim.orchestrator.engine.progress import Progress


def new_job(spec: bytes = b"spec", request_id: str = "") -> NewJob:
    return NewJob(request_id, spec, "digest", "llama-2-7b", "l3", "openr1", ("careful",))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def reopened(journal: Journal, folder: Path) -> Journal:
    journal.close()
    return Journal(folder)


def test_an_accepted_job_is_queued(journal: Journal) -> None:
    record, new = journal.accept(new_job())
    assert new
    assert (record.job_id, record.state, record.attempts) == ("job-000001", State.QUEUED, 0)
    assert (record.model, record.policy, record.workload) == ("llama-2-7b", "l3", "openr1")
    assert record.warnings == ("careful",)
    assert record.submitted_at.endswith("Z")
    assert journal.spec(record.serial) == b"spec"


def test_the_same_request_makes_one_job(journal: Journal) -> None:
    first, _ = journal.accept(new_job(request_id="r"))
    again, new = journal.accept(new_job(request_id="r"))
    assert (again, new) == (first, False)


def test_no_request_id_makes_a_job_each_time(journal: Journal) -> None:
    assert journal.accept(new_job())[0].serial != journal.accept(new_job())[0].serial


def test_a_request_id_with_another_specification_is_refused(journal: Journal) -> None:
    journal.accept(new_job(request_id="r"))
    with pytest.raises(Conflict, match="request id 'r' is taken by job-000001"):
        journal.accept(new_job(b"other", request_id="r"))
    assert len(journal.page(None, 10)) == 1


def test_pages_are_newest_first(journal: Journal) -> None:
    for _ in range(5):
        journal.accept(new_job())
    assert [record.serial for record in journal.page(None, 2)] == [5, 4]
    assert [record.serial for record in journal.page(4, 10)] == [3, 2, 1]


def test_a_job_ends_with_all_that_it_leaves(journal: Journal) -> None:
    serial = journal.accept(new_job())[0].serial
    journal.start(serial)
    big = bytes(range(256)) * (PART_BYTES // 256) + b"rest"
    ending = Ending(State.SUCCEEDED, 17, progress=Progress(requests_done=3))
    record = journal.finish(serial, ending, {"report.json": b"{}", "big": big, "empty": b""})
    assert (record.state, record.sequence, record.progress.requests_done) == (State.SUCCEEDED, 17, 3)
    assert record.ended_at >= record.submitted_at
    assert journal.artifact_parts(serial, "big") == 2
    assert b"".join(journal.artifact_part(serial, "big", part) for part in range(2)) == big
    assert journal.artifact_parts(serial, "empty") == 1
    assert journal.artifact_part(serial, "empty", 0) == b""
    assert journal.artifact_parts(serial, "none") == 0


def test_a_report_is_kept_whole_or_not_at_all(journal: Journal) -> None:
    serial = journal.accept(new_job())[0].serial
    journal.start(serial)
    with pytest.raises(sqlite3.Error):
        journal.finish(serial, Ending(State.SUCCEEDED, 5), {"report.json": b"{}", "bad": [object()]})  # type: ignore[dict-item]
    assert journal.get(serial).state is State.RUNNING
    assert journal.artifact_parts(serial, "report.json") == 0


def test_a_job_ends_once(journal: Journal) -> None:
    serial = journal.accept(new_job())[0].serial
    journal.finish(serial, Ending(State.CANCELLED, 2))
    with pytest.raises(sqlite3.IntegrityError, match="job-000001 cannot become succeeded"):
        journal.finish(serial, Ending(State.SUCCEEDED, 3), {"report.json": b"{}"})
    assert journal.artifact_parts(serial, "report.json") == 0
    with pytest.raises(sqlite3.IntegrityError, match="is not queued"):
        journal.start(serial)


def test_an_unknown_job_is_named(journal: Journal) -> None:
    with pytest.raises(NotFound, match="no job job-000009"):
        journal.get(9)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "7",
        "job-7",
        "job-000007x",
        "job-" + "9" * 30,
        "JOB-000007",
        "job-\u0660\u0660\u0660\u0660\u0660\u0667",
    ],
)
def test_a_name_that_no_job_has(name: str) -> None:
    with pytest.raises(NotFound, match="no job"):
        serial_of(name)


def test_names_of_jobs() -> None:
    assert serial_of("job-000007") == 7
    assert serial_of("job-1234567") == 1234567


def test_queued_jobs_stay_queued_in_order(journal: Journal, tmp_path: Path) -> None:
    for _ in range(3):
        journal.accept(new_job())
    journal.finish(2, Ending(State.CANCELLED, 1))
    journal = reopened(journal, tmp_path)
    assert [record.serial for record in journal.recover()] == [1, 3]
    journal.close()


def test_a_running_job_is_queued_again_at_most_twice(journal: Journal, tmp_path: Path) -> None:
    serial = journal.accept(new_job())[0].serial
    for attempt in range(1, MAX_RESTARTS + 2):
        assert journal.start(serial).attempts == attempt
        journal = reopened(journal, tmp_path)
        queued = journal.recover()
        assert bool(queued) is (attempt <= MAX_RESTARTS)
    record = journal.get(serial)
    assert (record.state, record.error_reason, record.attempts) == (State.FAILED, "INTERRUPTED", 3)
    assert "died 3 times" in record.error_message
    assert record.sequence > journal.first_sequence
    journal.close()


def test_a_running_job_that_was_asked_to_stop_does_not_run_again(journal: Journal, tmp_path: Path) -> None:
    serial = journal.accept(new_job())[0].serial
    journal.start(serial)
    assert journal.request_cancel(serial).cancel_requested
    journal = reopened(journal, tmp_path)
    assert journal.recover() == []
    assert journal.get(serial).state is State.CANCELLED
    journal.close()


def test_sequence_numbers_of_a_later_run_are_larger(journal: Journal, tmp_path: Path) -> None:
    first = journal.first_sequence
    journal = reopened(journal, tmp_path)
    assert journal.first_sequence >= first + 10**9
    journal.close()


def test_another_schema_version_is_refused_by_name(journal: Journal, tmp_path: Path) -> None:
    journal.close()
    with sqlite3.connect(tmp_path / "jobs.sqlite3") as database:
        database.execute("PRAGMA user_version = 7")
    database.close()
    with pytest.raises(InvalidInput, match=r"state: journal .* has schema version 7, this program reads 1"):
        Journal(tmp_path)


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite3").write_bytes(b"something else entirely" * 100)
    with pytest.raises(InvalidInput, match=r"cannot read journal .*jobs\.sqlite3: file is not a database"):
        Journal(tmp_path)


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="state: cannot use folder"):
        Journal(tmp_path / "file")


@pytest.mark.usefixtures("journal")
def test_a_second_orchestrator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="belongs to a running orchestrator"):
        Journal(tmp_path)


DIES = """
import os, signal, sys
from pathlib import Path
from l3sim.orchestrator.control.journal import Journal
from l3sim.orchestrator.control.record import Ending, NewJob, State
journal = Journal(Path(sys.argv[1]))
for number in range(3):
    journal.accept(NewJob(f"r{number}", b"spec", "digest", "m", "l3", "w"))
journal.start(1)
journal.finish(1, Ending(State.SUCCEEDED, 3), {"report.json": b"{}"})
journal.start(2)
journal._db.execute("BEGIN IMMEDIATE")
journal._db.execute("INSERT INTO artifacts VALUES (2, 'report.json', 0, x'68616c66')")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_accepted_survives_a_kill(tmp_path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    journal = Journal(tmp_path)
    assert [record.serial for record in journal.recover()] == [2, 3]
    assert journal.get(1).state is State.SUCCEEDED
    assert journal.artifact_part(1, "report.json", 0) == b"{}"
    assert journal.get(2).attempts == 1
    assert journal.artifact_parts(2, "report.json") == 0
    assert journal.accept(NewJob("r1", b"spec", "digest", "m", "l3", "w"))[1] is False
    journal.close()


def test_every_change_is_on_disk_before_it_is_answered(journal: Journal) -> None:
    assert journal._db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert journal._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
