from pathlib import Path
from typing import Any

import pytest

from l3sim.clients.options import JobOptions
from l3sim.errors import InvalidInput
from l3sim.specs.catalog import MODELS, load_model
from l3sim.specs.job import JobSpec
from l3sim.specs.workload import WorkloadSpec


def test_defaults_are_those_of_the_vocabulary() -> None:
    assert JobOptions().spec("openr1") == JobSpec(WorkloadSpec("openr1", 1000))


def test_every_option_reaches_the_specification() -> None:
    options = JobOptions(
        model="opt-66b",
        policy="fill",
        requests=5,
        seed=3,
        concurrency=2,
        speed=4.0,
        tp=8,
        dp=2,
        max_window=1,
        settings=["attention.memory_share = 0.5", "link.overlap=off"],
        spans=6,
        think=2.5,
        priorities="0:0.9,5:0.1",
        max_output=77,
        slo="ttft_s:2, tbt_s:0.1",
        oracle_lengths=True,
        regret=9,
    )
    assert options.spec("dolphin", "l3-mini") == JobSpec(
        workload=WorkloadSpec(
            "dolphin",
            5,
            concurrency=2,
            speed=4.0,
            think_s=2.5,
            priorities=((0, 0.9), (5, 0.1)),
            max_output_tokens=77,
        ),
        machine="l3-mini",
        model="opt-66b",
        policy="fill",
        seed=3,
        tp=8,
        dp=2,
        max_window=1,
        settings=(("attention.memory_share", "0.5"), ("link.overlap", "off")),
        spans_rounds=6,
        slo=(("ttft_s", 2.0), ("tbt_s", 0.1)),
        oracle_lengths=True,
        regret_plans=9,
    )


def test_bursty_arrivals_reach_the_specification() -> None:
    expected = WorkloadSpec("openr1", 1000, rate=2.0, cv=3.0)
    assert JobOptions(rate=2.0, cv=3.0).spec("openr1") == JobSpec(expected)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cv": 2.0}, "--cv: needs --rate: it says how bursty an open loop's arrivals are"),
        ({"think": 2.0}, "--think: needs --concurrency: only the clients of a closed loop think"),
        ({"slo": "ttft_s"}, "--slo: must be a list like name:number,name:number, got 'ttft_s'"),
        ({"priorities": "high:1"}, "--priorities: must be a list like 0:0.9,5:0.1, got 'high:1'"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        JobOptions(**options).spec("openr1")
    assert str(refused.value) == text


def test_a_model_file_is_read_here(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text((MODELS / "llama-2-7b.yaml").read_text())
    assert JobOptions(model=str(path)).spec("openr1").model == load_model("llama-2-7b")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (JobOptions(policy=""), "--policy: must not be empty"),
        (JobOptions(model="./absent.yaml"), "model: no file './absent.yaml'"),
        (JobOptions(settings=["memory_share"]), "--set: must be slot.key=value, got 'memory_share'"),
        (JobOptions(settings=["share=1"]), "--set: must be slot.key=value, got 'share=1'"),
        (JobOptions(settings=["attention.share="]), "--set: must be slot.key=value, got 'attention.share='"),
        (JobOptions(settings=[".share=1"]), "--set: must be slot.key=value, got '.share=1'"),
        (JobOptions(settings=["a.b=1", "a.b=2"]), "--set: a.b is set twice"),
        (JobOptions(settings=["a.b=[1]"]), "a.b: must be one value, got '[1]'"),
    ],
)
def test_refused(options: JobOptions, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        options.spec("openr1")
    assert str(caught.value) == message
