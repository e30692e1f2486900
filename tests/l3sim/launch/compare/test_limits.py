"""The rooflines by hand, and the limit that a report points to."""

import numpy as np
import pytest
from msgspec.structs import replace

from l3sim.clients.options import JobOptions
from l3sim.launch.compare.limits import Rooflines, limit_of, mean_context, rooflines_of
from l3sim.orchestrator.job.resolve import resolve
from l3sim.reports import Report
from l3sim.reports.sections import Batch, Utilization
from l3sim.specs.catalog import load_machine
from l3sim.specs.requests import Requests
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


def report(gpu: float, attention: float, link: float, batch: float, full: float) -> Report:
    kv = replace(golden().kv, capacity_bytes=1000, peak_bytes=int(1000 * full))
    busy = Utilization(gpu=gpu, attention=attention, link_down=link, link_up=0.0)
    return golden(utilization=busy, batch=Batch(mean_requests=batch, max_requests=50), kv=kv)


@pytest.mark.parametrize(
    ("seen", "limit"),
    [
        (report(0.5, 0.9, 0.1, 10, 1.0), "attention bandwidth"),
        (report(0.5, 0.4, 0.8, 10, 1.0), "link"),
        # Two replicas of 20 requests: 40 * 1 ms of FLOPs on two groups are the 20 ms of the weights.
        (report(0.9, 0.4, 0.1, 20, 1.0), "GPU compute"),
        (report(0.9, 0.4, 0.1, 19, 0.9), "KV capacity"),
        (report(0.9, 0.4, 0.1, 19, 0.89), "GPU weights"),
    ],
)
def test_the_busiest_part_is_the_limit(seen: Report, limit: str) -> None:
    assert limit_of(seen, LINES) == limit


def test_throughput_of_the_fc_layers_rises_to_their_compute_bound() -> None:
    assert LINES.compute_batch == pytest.approx(40)
    assert LINES.fc_tokens_per_s(10) == pytest.approx(10 / 0.02)
    assert LINES.fc_tokens_per_s(40) == LINES.fc_tokens_per_s(400) == pytest.approx(2 / 0.001)


def test_context_is_the_mean_over_tokens_made() -> None:
    # Tokens at 11, 12 of one request and 101 of the other.
    zeros = np.zeros(2, dtype=np.int64)
    table = Requests(np.array([10, 100]), np.array([2, 1]), zeros, zeros)
    assert mean_context(table) == pytest.approx((11 + 12 + 101) / 3)


def test_the_reference_machine_by_hand() -> None:
    options = JobOptions(model="llama-2-70b", requests=4, settings=["gpu.level=roofline"])
    job = options.spec("fixed:1000:1")
    machine = load_machine("l3-dgx-a100")
    lines = rooflines_of(resolve(job, machine))
    assert lines is not None
    assert lines.context == 1001
    token_bytes = 1001 * 327_680
    assert lines.attention_tokens_per_s == pytest.approx(13.1072e12 / token_bytes)
    # Eight KV heads fill a chip each: nothing of the 2 TiB is lost.
    assert lines.capacity_requests == pytest.approx(2 * 2**40 / token_bytes)
    layer = 2 * 8192**2 + 2 * 8192 * 1024 + 3 * 8192 * 28672
    assert lines.weights_s == pytest.approx(
        80 * layer * 2 / (4 * machine.gpu.memory_bytes_per_s * machine.gpu.memory_efficiency)
    )
    assert lines.compute_s == pytest.approx(80 * layer * 2 / (4 * 312e12 * machine.gpu.compute_efficiency))
