"""The limit that a report points to."""

import pytest
from msgspec.structs import replace

from l3sim.launch.compare.limits import limit_of
from l3sim.orchestrator.job.rooflines import Rooflines
from l3sim.reports import Report
from l3sim.reports.sections import Batch, Rate, Utilization
from tests.reports import golden

LINES = Rooflines(
    dp=2,
    shared=False,
    context=100.0,
    weights_s=0.02,
    compute_s=0.001,
    attention_tokens_per_s=500.0,
    capacity_requests=80.0,
)


def report(
    gpu: float,
    attention: float,
    link: float,
    batch: float = 10,
    full: float = 1.0,
    spent: dict[str, float] | None = None,
) -> Report:
    """A closed job with these busy shares; `spent` of the GPU, which counts nothing by default."""
    kv = replace(golden().kv, capacity_bytes=1000, peak_bytes=int(1000 * full))
    return golden(
        utilization=Utilization(gpu=gpu, attention=attention, link_down=link, link_up=0.0),
        batch=Batch(mean_requests=batch, max_requests=50),
        kv=kv,
        gpu_time_s=spent or {},
        rate=Rate(None, None),
    )


@pytest.mark.parametrize(
    ("seen", "limit"),
    [
        (report(0.5, 0.9, 0.1), "attention bandwidth"),
        (report(0.5, 0.4, 0.8), "link"),
        # Two replicas of 20 requests: 40 * 1 ms of FLOPs on two groups are the 20 ms of the weights.
        (report(0.9, 0.4, 0.1, 20), "GPU compute"),
        (report(0.9, 0.4, 0.1, 19, 0.9), "KV capacity"),
        (report(0.9, 0.4, 0.1, 19, 0.89), "GPU weights"),
    ],
)
def test_the_busiest_part_is_the_limit(seen: Report, limit: str) -> None:
    assert limit_of(seen, LINES) == limit


@pytest.mark.parametrize(
    ("spent", "full", "limit"),
    [
        (
            {"weights": 69.0, "collectives": 60.4, "compute": 50.0, "overhead": 20.6},
            0.1,
            "GPU weights 34%, collectives 30%",
        ),
        ({"weights": 3.0, "collectives": 6.0, "attention": 1.0}, 1.0, "GPU collectives 60%"),
        ({"weights": 6.0, "collectives": 3.0, "attention": 1.0}, 1.0, "KV capacity"),
        ({"weights": 3.0, "compute": 2.0, "attention": 5.0}, 0.1, "GPU attention 50%"),
    ],
)
def test_a_gpu_that_counts_names_what_it_spends_most_on(
    spent: dict[str, float], full: float, limit: str
) -> None:
    assert limit_of(report(0.9, 0.4, 0.1, 19, full, spent), LINES) == limit


def test_decode_attention_of_gpus_alone_is_no_limit_of_the_other_kernels() -> None:
    shared = Rooflines(1, True, 100.0, 0.02, 0.001, 500.0, 80.0)
    spent = {"weights": 4.0, "collectives": 1.0, "attention": 5.0}
    assert limit_of(report(0.9, 0.4, 0.0, 10, 0.1, spent), shared) == "GPU weights 40%, collectives 10%"
    assert limit_of(report(0.9, 0.5, 0.0, 10, 0.1, spent), shared) == "attention bandwidth"


def test_an_open_loop_that_is_kept_up_with_is_limited_by_its_arrivals() -> None:
    open_loop = replace(report(0.3, 0.2, 0.1), rate=Rate(2.0, 2.0), saturated=False)
    assert limit_of(open_loop, LINES) == "arrivals"
    assert limit_of(replace(open_loop, saturated=True), LINES) == "KV capacity"
