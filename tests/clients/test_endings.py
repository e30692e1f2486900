"""What a job that has ended raises."""

import pytest

from l3sim.clients.endings import ENDED, failure_of, refuse_broken, succeeded
from l3sim.errors import Cancelled, DeviceLost, Interrupted, InvalidInput, InvariantBroken, L3Error, NotReady
from l3sim.v1 import job_pb2
from tests.clients.fake_machine import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED, make_job
from tests.reports import golden


@pytest.mark.parametrize(
    ("reason", "kind", "code"),
    [
        (InvalidInput.reason, InvalidInput, 2),
        (NotReady.reason, NotReady, 3),
        (Interrupted.reason, Interrupted, 1),
        (DeviceLost.reason, L3Error, 1),
        ("OF_A_NEWER_MACHINE", L3Error, 1),
    ],
)
def test_a_failed_job_fails_by_its_reason(reason: str, kind: type[L3Error], code: int) -> None:
    error = failure_of(make_job(FAILED, error=job_pb2.JobError(reason=reason, message="lost dimm-07: gone")))
    assert type(error) is kind
    assert str(error) == "job-000001 failed: lost dimm-07: gone"
    assert error.exit_code == code


def test_only_success_is_one() -> None:
    job = make_job(SUCCEEDED)
    assert succeeded(job) is job
    with pytest.raises(Cancelled, match=r"^job-000001 was cancelled$"):
        succeeded(make_job(CANCELLED))
    with pytest.raises(NotReady):
        succeeded(make_job(FAILED, error=job_pb2.JobError(reason=NotReady.reason, message="none")))
    assert {CANCELLED, FAILED, SUCCEEDED} == ENDED == {QUEUED, RUNNING, *ENDED} - {QUEUED, RUNNING}


def test_a_report_with_a_broken_invariant_is_refused() -> None:
    refuse_broken(golden(invariants="ok"))
    with pytest.raises(InvariantBroken, match="an invariant broke: gpu of replica 0 is busy twice at 17 ps"):
        refuse_broken(golden())
