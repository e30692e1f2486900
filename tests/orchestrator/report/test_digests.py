"""A job's digest tells two jobs apart whose results may differ, and no others."""

import asyncio
import json
from dataclasses import dataclass, replace
from typing import Annotated, Any
from unittest.mock import patch

import pytest
from ruamel.yaml import YAML

from l3sim.launch.in_process import source_of
from l3sim.launch.plan import plan_devices
from l3sim.orchestrator.engine.policies import ORIGINS
from l3sim.orchestrator.job import resolve
from l3sim.orchestrator.report.digests import device_digest, digest_as_run
from l3sim.orchestrator.run.job import JobResult, run_job
from l3sim.specs.job import JobSpec
from l3sim.specs.option import Option
from l3sim.specs.workload import WorkloadSpec
from l3sim.testing.builders import small_model
from l3sim.work import DeviceDescription, DeviceReady, MemoryRegion
from tests.orchestrator.small_jobs import SmallJob, Watcher, listed, small_machine

DESCRIBED = DeviceDescription("b-3", "attention", "cxl-pim", "1.2", (), (), (), 0, (), "{}")
READY = DeviceReady("dimm-03", "roofline", 0, ("rank-0",), (MemoryRegion("kv", 64, 8),), {"speed": 2}, 500)


def job_of(**changes: Any) -> SmallJob:
    spec = JobSpec(listed([30, 20], [9, 12]), model=small_model(), policy="fill")
    return SmallJob(replace(spec, **changes), small_machine())


def run(job: SmallJob, *overrides: str, packed: int = 4, version: str = "") -> JobResult:
    """In this process, with devices as `--override` makes them, the link's of another version."""
    devices = source_of(plan_devices(job.machine, packed, overrides))
    if version:
        present = devices.present()
        told = [(at, replace(one, version=version) if one.role == "link" else one) for at, one in present]
        with patch.object(devices, "present", lambda: told):
            return asyncio.run(run_job(job.resolved, devices, Watcher(), asyncio.Event()))
    return asyncio.run(run_job(job.resolved, devices, Watcher(), asyncio.Event()))


def test_what_changes_a_result_changes_the_digest() -> None:
    plain, slow = run(job_of()).report, run(job_of(), "dimm-02.ccd_l_tck=6400").report
    assert slow.makespan_s > plain.makespan_s
    level = run(job_of(settings=(("attention.level", "fast"),))).report
    version = run(job_of(), version="flat 1").report
    assert len({one.job for one in (plain, slow, level, version)}) == 4
    # Only what the job message and the machine file say was known when it was submitted.
    assert slow.provenance.submitted_digest == version.provenance.submitted_digest
    assert slow.provenance.submitted_digest == plain.provenance.submitted_digest
    assert level.provenance.submitted_digest != plain.provenance.submitted_digest


def test_what_changes_no_result_changes_no_digest() -> None:
    digests = {
        run(job).report.job
        for job in (job_of(), job_of(max_window=1), job_of(spans_rounds=2), job_of(regret_plans=2))
    }
    digests |= {run(job_of(), packed=packed).report.job for packed in (1, 3)}
    # What the machine file says already is no other device.
    digests.add(run(job_of(), f"dimm-01.ccd_l_tck={job_of().machine.attention.ccd_l_tck}").report.job)
    assert len(digests) == 1


def test_the_odd_device_shows() -> None:
    devices = run(job_of(), "dimm-02.ccd_l_tck=6400").report.provenance.devices
    found = {one.slot: one.digest for one in devices if one.role == "attention"}
    assert found["dimm-00"] == found["dimm-01"] == found["dimm-03"] != found["dimm-02"]


def test_overrides_stand_in_config_yaml() -> None:
    result = run(job_of(), "dimm-02.ccd_l_tck=6400", "link.setup_us=2.5")
    config = YAML(typ="safe", pure=True).load(result.artifacts["config.yaml"].decode())
    assert config["overrides"] == ["dimm-02.ccd_l_tck=6400", "link.setup_us=2.5"]
    assert config["job"] == result.report.job
    assert config["submitted_digest"] == result.report.provenance.submitted_digest


@pytest.mark.parametrize(
    ("described", "ready"),
    [
        (replace(DESCRIBED, kind="other"), READY),
        (replace(DESCRIBED, version="1.3"), READY),
        (replace(DESCRIBED, role="link"), READY),
        (replace(DESCRIBED, overrides_json=json.dumps({"hidden": 1})), READY),
        (replace(DESCRIBED, overrides_json=json.dumps({"speed": 3})), READY),
        (replace(DESCRIBED, overrides_json="no JSON"), READY),
        (replace(DESCRIBED, overrides_json="[1]"), READY),
        (DESCRIBED, replace(READY, level="command")),
        (DESCRIBED, replace(READY, config={"speed": 3})),
        (DESCRIBED, replace(READY, domains=("rank-0", "rank-1"))),
        (DESCRIBED, replace(READY, regions=(MemoryRegion("kv", 32, 8),))),
        (DESCRIBED, replace(READY, idle_mw=501)),
    ],
)
def test_a_device_is_told_by_all_that_it_answers(described: DeviceDescription, ready: DeviceReady) -> None:
    assert device_digest(described, ready) != device_digest(DESCRIBED, READY)


def test_a_device_is_the_same_wherever_it_lives() -> None:
    moved = replace(DESCRIBED, device_id="dimm-00-to-07-3", requested_slot="dimm-03", lookahead_rounds=9)
    shown = replace(moved, overrides_json=json.dumps({"speed": 2}))
    elsewhere = replace(READY, slot="dimm-07", lookahead_rounds=9)
    assert device_digest(shown, elsewhere) == device_digest(DESCRIBED, READY)
    devices = [("link", DESCRIBED, READY), ("gpu", DESCRIBED, READY)]
    assert digest_as_run("a", devices) == digest_as_run("a", devices[::-1]) != digest_as_run("b", devices)


def test_a_policy_of_other_code_is_another_job(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = {job_of().resolved.digest}
    for code in ("11111111", "22222222"):
        monkeypatch.setattr(resolve, "code_of", lambda _, code=code: code)
        digests.add(job_of().resolved.digest)
    assert len(digests) == 3


def test_a_layout_of_another_shape_is_another_job() -> None:
    plain = job_of().resolved
    other = replace(plain.layout, kv_block_tokens=plain.layout.kv_block_tokens * 2)
    with patch.object(resolve, "layout_of", lambda *_: other):
        assert job_of().resolved.digest != plain.digest


@dataclass(frozen=True)
class LaterSpec(JobSpec):
    """What a later version may have."""

    eagerness: Annotated[int, Option("--eagerness", "A new option.", "N", 1, 9)] = 0
    verbosity: Annotated[int, Option("--verbosity", "Another.", "N", 1, 9, changes_result=False)] = 0


@dataclass(frozen=True)
class LaterWorkload(WorkloadSpec):
    """Likewise of a workload."""

    jitter_s: Annotated[float, Option("--jitter", "A new option.", "S", most=9.0)] = 0.0


def test_a_new_option_is_in_the_digest_and_in_config_yaml() -> None:
    served = listed([30, 20], [9, 12])
    wider = LaterWorkload(served.name, listed=served.listed)
    plain = LaterSpec(wider, model=small_model(), policy="fill")
    resolved = [
        SmallJob(spec, small_machine()).resolved
        for spec in (
            plain,
            replace(plain, verbosity=2),
            replace(plain, eagerness=2),
            replace(plain, workload=replace(wider, jitter_s=0.5)),
        )
    ]
    digests = [job.digest for job in resolved]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert [job.config()["eagerness"] for job in resolved] == [0, 0, 2, 0]
    assert [job.config()["workload"]["jitter_s"] for job in resolved] == [0.0, 0.0, 0.0, 0.5]


def test_a_policy_of_another_package_version_is_another_job(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = [job_of().resolved.digest]
    for origin in ("mine 1.0", "mine 1.1"):
        monkeypatch.setitem(ORIGINS, "fill", origin)
        digests.append(job_of().resolved.digest)
    assert len(set(digests)) == 3
