"""How jobs end: which states are final, and what a job that did not succeed raises."""

from l3sim.errors import Cancelled, InvalidInput, InvariantBroken, L3Error
from l3sim.reports import Report
from l3sim.transport.status import CLASSES
from l3sim.v1 import job_pb2

ENDED = frozenset({job_pb2.JOB_STATE_SUCCEEDED, job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED})


def succeeded(job: job_pb2.Job) -> job_pb2.Job:
    """The same job, if it has succeeded.

    Raises:
        Cancelled: it was cancelled.
        L3Error: it failed; of the class of the reason.
    """
    if job.state == job_pb2.JOB_STATE_CANCELLED:
        raise Cancelled(f"{job.job_id} was cancelled")
    if job.state == job_pb2.JOB_STATE_FAILED:
        raise failure_of(job)
    return job


def failure_of(job: job_pb2.Job) -> L3Error:
    """What a failed job failed of, as the error to raise; its exit code is that of the reason."""
    text = f"{job.job_id} failed: {job.error.message}"
    known = CLASSES.get(job.error.reason, L3Error)
    if known is InvalidInput:
        return InvalidInput(("", text))
    # DeviceLost and its like carry more than their text; here only text and exit code are left.
    return known(text) if known.__init__ is L3Error.__init__ else L3Error(text)


def refuse_broken(report: Report) -> None:
    """Refuse a report in which an invariant broke.

    Raises:
        InvariantBroken: naming the first; all stand in the report.
    """
    if report.broken:
        first = report.broken[0]
        raise InvariantBroken(f"an invariant broke: {first}; do not use this report, and tell us")
