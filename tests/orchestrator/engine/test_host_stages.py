"""Host stages: by hand, in a job, and that zero is only zero when chosen."""

import json
from typing import Any

import pytest
from msgspec.structs import asdict

from l3sim.orchestrator.engine.host_stages import HostStages
from l3sim.specs.catalog import load_machine, machine_names
from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_model
from tests.orchestrator.small_jobs import SmallJob, lines_of, listed, small_machine

US = 10**6
STAGES: dict[str, Any] = {
    "host__sample_us": 7.0,
    "host__schedule_us": 50.0,
    "host__schedule_request_us": 2.0,
    "host__launch_us": 9.0,
    "host__output_us": 20.0,
    "host__output_request_us": 3.0,
}


def test_stages_by_hand() -> None:
    host = HostStages.of(small_machine(**STAGES).host)
    assert host.gap_ps(requests=5, passes=2) == (7 + 50 + 5 * 2 + 2 * 9) * US
    assert host.stamp_ps(tokens=4) == (7 + 20 + 4 * 3) * US


def test_halves_of_picoseconds_round_up_and_zero_stays_zero() -> None:
    host = HostStages.of(small_machine(host__launch_us=0.0000015, host__schedule_us=0.0).host)
    assert (host.launch_ps, host.schedule_ps) == (2, 0)


@pytest.mark.parametrize("name", machine_names())
def test_every_stage_of_a_shipped_machine_is_written_down(name: str) -> None:
    machine = load_machine(name)
    for key, value in machine.section("host").items():
        source = machine.sources[f"host.{key}"]
        chosen = ("ours: 0 by choice", "arXiv 2504.17584") if "as-published" in name else "ours: 0 by choice"
        assert source.startswith(chosen if value == 0 else "assumed"), (key, source)


def test_a_job_by_hand() -> None:
    """Two requests at once: a round that prefills both, then two that decode both."""
    spec = JobSpec(listed([10, 12], [3, 3]), model=small_model(), policy="serial", spans_rounds=10)
    result = SmallJob(spec, small_machine(**STAGES)).run()
    spans = [json.loads(line) for line in result.artifacts["spans.jsonl"].splitlines()]
    starts = [min(one["start_ps"] for one in spans if one["round"] == r) for r in range(3)]
    ends = [max(one["end_ps"] for one in spans if (one["round"], one["task"]) == (r, "B")) for r in range(3)]
    gap = (50 + 2 * 2 + 9) * US  # the same two requests in every round, one pass
    assert starts == [gap, ends[0] + 7 * US + gap, ends[1] + 7 * US + gap]
    stamp = (7 + 20 + 2 * 3) * US
    for line in lines_of(result):
        assert line["ttft_s"] == (ends[0] + stamp) / 10**12
        assert line["e2e_s"] == (ends[2] + stamp) / 10**12
    assert asdict(result.report.host_s) == {
        "sample": 2 * 7e-6,  # before the first round there is nothing
        "schedule": pytest.approx(3 * 54e-6),
        "launch": pytest.approx(3 * 9e-6),
        "output": pytest.approx(3 * 26e-6),
    }


def test_a_host_that_takes_no_time_is_seen_as_such() -> None:
    spec = JobSpec(listed([10], [3]), model=small_model(), policy="serial")
    report = SmallJob(spec, small_machine(host__schedule_us=0.0, host__output_us=0.0)).run().report
    assert set(asdict(report.host_s).values()) == {0.0}
    assert report.queue_s.max == 0.0
