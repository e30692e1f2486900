"""Goodput from latencies made by hand, and from whole runs."""

import json
from typing import Any

import numpy as np
import pytest

from l3sim.errors import InvalidInput
from l3sim.orchestrator.engine.host_stages import HostStages
from l3sim.orchestrator.engine.requests import Phase
from l3sim.orchestrator.job.slo import Targets, check_slo, met, slo_report
from l3sim.specs.job import SLO_METRICS, JobSpec
from l3sim.testing.builders import small_model
from l3sim.units import PS_PER_S
from tests.orchestrator.engine.kv.test_ledger import table_of
from tests.orchestrator.small_jobs import SmallJob, lines_of, listed, numbers, small_machine


def table() -> Any:
    """Three requests of 2, 3 and 1 tokens; the second one stalls for 5 s between two of them."""
    made = table_of([10, 10, 10], [2, 3, 1])
    made.phase[:] = Phase.DONE
    made.first_round_ps[:] = numbers([0, 0, 0])
    made.first_stamp_ps[:] = numbers([1, 2, 3]) * PS_PER_S
    made.last_stamp_ps[:] = numbers([2, 8, 3]) * PS_PER_S
    made.longest_gap_ps[:] = numbers([1, 5, 0]) * PS_PER_S
    return made


def test_a_request_counts_when_it_meets_every_objective() -> None:
    found = slo_report((("ttft_s", 2.0), ("tbt_s", 4.0)), table(), 10 * PS_PER_S)
    assert found["at_most_s"] == {**dict.fromkeys(SLO_METRICS), "ttft_s": 2.0, "tbt_s": 4.0}
    assert found["share"] == {**dict.fromkeys(SLO_METRICS), "ttft_s": 2 / 3, "tbt_s": 2 / 3}
    assert found["attained"] == 1 / 3
    assert found["goodput_requests_per_s"] == 0.1
    assert found["goodput_tokens_per_s"] == 0.2


@pytest.mark.parametrize(
    ("metric", "share"), [("tpot_s", {1.0: 2, 3.0: 3}), ("e2e_s", {2.0: 1, 8.0: 3}), ("queue_s", {1e-9: 3})]
)
def test_each_metric(metric: str, share: dict[float, int]) -> None:
    for at_most_s, good in share.items():
        assert slo_report(((metric, at_most_s),), table(), PS_PER_S)["share"][metric] == good / 3


def test_who_has_not_ended_meets_nothing() -> None:
    made = table()
    made.phase[0] = Phase.DECODE
    assert slo_report((("ttft_s", 100.0),), made, PS_PER_S)["attained"] == 2 / 3


def test_without_objectives_all_is_null() -> None:
    found = slo_report((), table(), PS_PER_S)
    assert found["attained"] is found["goodput_tokens_per_s"] is found["share"]["ttft_s"] is None


@pytest.mark.parametrize("max_window", [1, 4096])
def test_a_run_agrees_with_its_lines(max_window: int) -> None:
    spec = JobSpec(listed([30, 200, 20, 150], [31, 20, 1, 14]), model=small_model(), policy="fill")
    job = SmallJob(spec, small_machine()).but(max_window=max_window)
    lines = lines_of(job.run())
    # A threshold between the second and the third in order.
    for metric in ("ttft_s", "tbt_s", "e2e_s"):
        at_most_s = sorted(line[metric] or 0.0 for line in lines)[1]
        result = job.but(slo=((metric, at_most_s),)).run()
        good = [(line[metric] or 0.0) <= at_most_s for line in lines]
        assert [line["slo_met"] for line in lines_of(result)] == good
        assert result.report.slo.attained == np.mean(good)
        assert json.dumps(result.report.to_dict()["slo"])


@pytest.mark.parametrize(
    ("targets", "host", "text"),
    [
        (
            (("ttfs_s", 1.0),),
            {},
            "slo: unknown objective 'ttfs_s'; did you mean 'ttft_s'? "
            "(there are: e2e_s, queue_s, tbt_s, tpot_s, ttft_s)",
        ),
        ((("tbt_s", 0.0),), {}, "slo.tbt_s: must be above 0 seconds, got 0.0"),
        ((("tbt_s", 0.1), ("tbt_s", 0.2)), {}, "slo.tbt_s: is given twice"),
        (
            (("ttft_s", 6e-5),),
            {},
            "slo.ttft_s: 6e-05 s is impossible: the host's stages alone take 7e-05 s",
        ),
        (
            (("ttft_s", 9e-5),),
            {"sample_us": 7, "launch_us": 7, "output_request_us": 7},
            "slo.ttft_s: 9e-05 s is impossible: the host's stages alone take 9.1e-05 s",
        ),
        (
            (("tbt_s", 7e-5),),
            {"sample_us": 30},
            "slo.tbt_s: 7e-05 s is impossible: the host's stages alone take 8e-05 s",
        ),
        (
            (("e2e_s", 1.0), ("ttft_s", 2.0)),
            {},
            "slo.ttft_s: 2.0 s contradicts e2e_s of 1.0 s, of which it is a part",
        ),
    ],
)
def test_refused(targets: Targets, host: dict[str, float], text: str) -> None:
    settings = [(f"host.{key}", value) for key, value in host.items()]
    with pytest.raises(InvalidInput) as refused:
        check_slo(targets, HostStages.of(small_machine().with_settings(settings).host))
    assert str(refused.value) == text


def test_where_stamps_wait_for_other_tokens_no_gap_is_impossible() -> None:
    """A token that is handed out last may be followed soon by one that is handed out first."""
    check_slo((("tbt_s", 1e-9),), HostStages.of(small_machine(host__output_request_us=3.0).host))


def test_a_threshold_that_is_a_latency_is_met_by_it() -> None:
    """Also where its product with 10^12 is a little less than the latency in picoseconds."""
    made = table()
    for time_ps in range(10**9 + 1, 10**9 + 2000):
        made.last_stamp_ps[0] = made.arrival_ps[0] + time_ps
        assert met((("e2e_s", time_ps / PS_PER_S),), made)["e2e_s"][0]
        assert not met((("e2e_s", (time_ps - 1) / PS_PER_S),), made)["e2e_s"][0]
