"""Jobs and devices, for people as tables and for programs as plain values."""

from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from l3sim.units import GIB, seconds
from l3sim.v1 import job_pb2, machine_pb2


def state_name(job: job_pb2.Job) -> str:
    """ "queued", "running", "succeeded", "failed" or "cancelled"."""
    return job_pb2.JobState.Name(job.state).removeprefix("JOB_STATE_").lower()


def job_values(job: job_pb2.Job) -> dict[str, Any]:
    """A job as JSON shows it."""
    progress = job.progress
    return {
        "job_id": job.job_id,
        "state": state_name(job),
        "digest": job.digest,
        "model": job.model,
        "policy": job.policy,
        "workload": job.workload,
        "submitted_at": job.submitted_at,
        "ended_at": job.ended_at or None,
        "attempts": job.attempts,
        "progress": {
            "sequence": progress.sequence,
            "virtual_time_s": seconds(progress.virtual_time_ps),
            "requests_done": progress.requests_done,
            "requests_total": progress.requests_total,
            "output_tokens_done": progress.output_tokens_done,
            "output_tokens_total": progress.output_tokens_total,
            "wall_s": progress.wall_s,
        },
        "error": {"reason": job.error.reason, "message": job.error.message}
        if job.HasField("error")
        else None,
    }


def device_values(device: machine_pb2.DeviceState) -> dict[str, Any]:
    """A device as JSON shows it; `fidelity` is the level of its model."""
    return {
        "id": device.device_id,
        "role": device.role,
        "kind": device.kind,
        "fidelity": device.level,
        "address": device.address,
        "state": device.state,
        "slot": device.slot or None,
        "capacity_bytes": device.capacity_bytes,
        "version": device.version,
        "protocol_version": device.protocol_version,
    }


def jobs_table(jobs: Iterable[job_pb2.Job]) -> Table:
    """Jobs, one a row."""
    rows = []
    for job in jobs:
        done, total = job.progress.output_tokens_done, job.progress.output_tokens_total
        share = f"{done / total:.0%}" if total else "-"
        rows.append(
            (
                job.job_id,
                state_name(job),
                share,
                job.workload,
                job.model,
                job.policy,
                job.submitted_at,
                _why(job),
            )
        )
    heads = ("job", "state", "done", "workload", "model", "policy", "submitted", "error")
    return _table(heads, rows)


def devices_table(devices: Iterable[machine_pb2.DeviceState]) -> Table:
    """Devices, one a row; a device without a slot is a spare, or offline."""
    rows = [
        (
            device.device_id,
            device.role,
            device.kind,
            device.level,
            device.state,
            device.slot or "-",
            f"{device.capacity_bytes / GIB:,.1f} GiB" if device.capacity_bytes else "-",
            device.address,
        )
        for device in devices
    ]
    return _table(("device", "role", "kind", "fidelity", "state", "slot", "capacity", "address"), rows)


def print_whole(table: Table, file: TextIO | None = None) -> None:
    """Print a table, as wide as it needs to be: a narrower terminal wraps its lines.

    Args:
        file: where to; None: standard output.
    """
    needed = Console(width=10_000).measure(table).maximum
    console = Console(highlight=False, file=file)
    console.width = max(console.width, needed) if console.is_terminal else needed
    console.print(table)


def _why(job: job_pb2.Job) -> str:
    return job.error.message if job.HasField("error") else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, no_wrap=head != "error")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: brackets in a name are no markup
    return table
