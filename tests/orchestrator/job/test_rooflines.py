"""The rooflines by hand."""

import numpy as np
import pytest

from l3sim.clients.options import JobOptions
from l3sim.orchestrator.job.resolve import resolve
from l3sim.orchestrator.job.rooflines import Rooflines, mean_context, rooflines
from l3sim.specs.catalog import load_machine
from l3sim.specs.requests import Requests

LINES = Rooflines(2, False, 100.0, 0.02, 0.001, 500.0, 80.0)


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
    options = JobOptions(model="llama-2-70b", requests=4, tp=4, settings=["gpu.level=roofline"])
    job = options.spec("fixed:1000:1")
    machine = load_machine("l3-dgx-a100")
    resolved = resolve(job, machine)
    lines = rooflines(resolved.machine, resolved.model, resolved.layout, resolved.table)
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
