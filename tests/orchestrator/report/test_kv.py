"""The account of memory from numbers made by hand; whole runs are compared in test_replica.py."""

from types import SimpleNamespace
from typing import cast

import msgspec
import numpy as np
import pytest

from l3sim.orchestrator.engine.kv.occupancy import Occupancy
from l3sim.orchestrator.engine.kv.prefix import PrefixSharing
from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.orchestrator.engine.metrics import ReplicaMetrics
from l3sim.orchestrator.engine.replica import Replica
from l3sim.orchestrator.report.kv import balance_report, kv_report
from l3sim.reports.sections import Prefix, Spread
from l3sim.testing.builders import small_layout, small_model
from tests.orchestrator.small_jobs import numbers

PS = 10**12
MODEL = small_model(layers=3)


def replica(index: int, tokens: list[int], rank_s: list[int] | None, lasted: int) -> Replica:
    """One rank in each of two ranksets; three layers of two groups; tokens by offset."""
    layout = small_layout(ranks=1, kv_block_tokens=4)
    shape = KvShape.of(layout, small_model(layers=3), np.full(2, 10**6, dtype=np.int64))
    occupancy = Occupancy(4, 2)
    if lasted:
        blocks = sum(-(-held // 4) for held in tokens)
        occupancy.add(numbers([lasted]), blocks, numbers(tokens))
    metrics = ReplicaMetrics()
    metrics.iteration_ps = lasted
    metrics.rank_ps = None if rank_s is None else numbers(rank_s) * PS
    sharing = PrefixSharing(numbers([1]), numbers([3]), longest=False, asked_blocks=6, hit_blocks=3)
    kv = SimpleNamespace(shape=shape, peak_bytes=100, sharing=sharing)
    return cast(Replica, SimpleNamespace(index=index, metrics=metrics, kv=kv, occupancy=occupancy))


def test_fragmentation_is_room_in_blocks_without_a_token() -> None:
    # 5 and 8 tokens take 2 blocks each for 30 ps, 4 and 0 one block for 10 ps.
    report = kv_report([replica(0, [5, 8], [1, 1], 30), replica(1, [4, 0], [1, 1], 10)], MODEL)
    assert report.fragmentation == pytest.approx(1 - (13 * 30 + 4 * 10) / (4 * (4 * 30 + 1 * 10)))
    assert (report.block_tokens, report.block_bytes) == (4, 4 * 2 * 16 * 2)
    assert (report.capacity_bytes, report.peak_bytes) == (4 * 10**6, 200)


def test_room_for_heads_that_the_model_has_not_is_empty() -> None:
    # Blocks of two groups, of which the model fills one, are full of tokens.
    full = [replica(0, [4, 8], [1, 1], 30)]
    whole = 1 - kv_report(full, MODEL).fragmentation
    fewer = msgspec.structs.replace(MODEL, heads=MODEL.heads // 2, kv_heads=MODEL.kv_heads // 2)
    assert (whole, kv_report(full, fewer).fragmentation) == (1, 0.5)


def test_hits_are_counted_in_tokens_of_whole_blocks() -> None:
    report = kv_report([replica(0, [5, 8], [1, 1], 30)], MODEL)
    assert report.prefix == Prefix(asked_tokens=24, hit_tokens=12, hit_rate=0.5, saved_peak_bytes=0)


def test_balance_is_the_most_of_a_rank_against_the_mean() -> None:
    # Offset 0 has layers 0 and 2 on rankset 0 and layer 1 on rankset 1, two groups each; so 4 and 2 times 8.
    first, second = replica(0, [8, 0], [3, 1], 30), replica(1, [0, 0], None, 0)
    balance = balance_report([first, second])
    assert [rank.tokens for rank in balance.ranks] == [32.0, 16.0, 0.0, 0.0]
    assert [rank.attention_s for rank in balance.ranks] == [3.0, 1.0, 0.0, 0.0]
    assert balance.tokens == Spread(12.0, 32.0, 32 / 12)
    assert balance.attention_s == Spread(1.0, 3.0, 3.0)
    assert balance_report([second]).tokens == Spread(0.0, 0.0, None)
