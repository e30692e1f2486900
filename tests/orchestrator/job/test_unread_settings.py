"""A setting that has no effect is a warning in the report."""

import pytest

from l3sim.orchestrator.job.resolve import resolve
from l3sim.specs.catalog import load_machine
from l3sim.specs.job import JobSpec
from l3sim.specs.workload import WorkloadSpec


@pytest.mark.parametrize(
    ("level", "key", "told"),
    [
        ("fast", "pass_overhead_ns=50", True),
        ("fast", "faw_tck=20", False),
        ("command", "rank_active_w=3", True),
        ("roofline", "faw_tck=20", True),
        ("roofline", "pass_overhead_ns=50", False),
        ("roofline", "ccd_l_tck=16", False),
    ],
)
def test_a_setting_that_the_level_does_not_read_is_a_warning(level: str, key: str, told: bool) -> None:
    name, _, value = f"attention.{key}".partition("=")
    job = JobSpec(
        workload=WorkloadSpec("fixed:100:10", count=3),
        settings=(("attention.level", level), (name, value)),
    )
    warnings = resolve(job, load_machine("l3-mini")).warnings
    assert (f"{name} changes nothing: level {level} does not read it" in warnings) == told


def test_a_setting_of_the_link_is_a_warning_where_gpus_attend() -> None:
    job = JobSpec(
        workload=WorkloadSpec("fixed:100:10", count=3), policy="fill", settings=(("link.setup_us", "1"),)
    )
    told = "link.setup_us changes nothing: the GPUs attend, and nothing crosses a link"
    assert told in resolve(job, load_machine("gpu-only-dgx-a100")).warnings
    assert told not in resolve(job, load_machine("l3-mini")).warnings
