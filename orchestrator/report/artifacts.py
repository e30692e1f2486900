"""Files that a job leaves beside its report (docs/report.md)."""

import io
import json
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML

from l3sim.orchestrator.engine.replica import Replica
from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.orchestrator.job.resolve import ResolvedJob
from l3sim.orchestrator.report.requests import requests_jsonl
from l3sim.orchestrator.report.spans import spans_jsonl
from l3sim.reports import Report
from l3sim.specs.machine import Machine


def artifacts(
    job: ResolvedJob, table: RequestTable, replicas: Sequence[Replica], report: Report
) -> dict[str, bytes]:
    """Content by name: those of every job, and those that this one asked for."""
    files = {
        "requests.jsonl": requests_jsonl(table, job.spec.slo),
        "config.yaml": _yaml(_config(job, report)).encode(),
        "decisions.jsonl": b"".join(replica.planner.log.jsonl() for replica in replicas),
    }
    if job.spec.regret_plans:
        files["regret.jsonl"] = b"".join(replica.planner.study.jsonl() for replica in replicas)
    if job.spec.spans_rounds:
        files["spans.jsonl"] = spans_jsonl([(replica.index, replica.spans) for replica in replicas])
    return files


def _config(job: ResolvedJob, report: Report) -> dict[str, Any]:
    """Everything resolved, and what devices were started with: enough to run again."""
    overrides = [
        f"{device.slot}.{key}={json.dumps(value)}"
        for device in report.provenance.devices
        for key, value in device.started_with().items()
    ]
    return {**job.config(), "job": report.job, "overrides": overrides}


def describe_machine(machine: Machine) -> str:
    """The machine file, resolved, as YAML."""
    return _yaml(machine.resolved())


def _yaml(value: dict[str, Any]) -> str:
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(value, text)
    return text.getvalue()
