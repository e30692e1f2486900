"""Times of requests and rounds for the report: distributions, from integers."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from l3sim.orchestrator.engine.metrics import ReplicaMetrics, Tally
from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.reports.sections import Batch, Distribution, Iteration
from l3sim.units import PS_PER_S, Int64s, seconds


def distribution(values: Int64s, counts: Int64s | None = None) -> Distribution:
    """Mean, standard deviation (over n), nearest-rank percentiles and maximum, in seconds.

    Args:
        values: picoseconds.
        counts: how often each occurred; None: once each.
    """
    if counts is None:
        counts = np.ones(len(values), dtype=np.int64)
    total = int(counts.sum())
    if total == 0:
        return Distribution(*[None] * len(msgspec.structs.fields(Distribution)))
    order = np.argsort(values, kind="stable")
    values, counts = values[order], counts[order]
    # Python integers: the square of a picosecond count leaves int64.
    pairs = list(zip(values.tolist(), counts.tolist(), strict=True))
    whole = sum(value * count for value, count in pairs)
    squares = sum(value * value * count for value, count in pairs)
    # n * sum(x^2) - (sum x)^2 is exact; isqrt keeps it so before the one division.
    deviation = math.isqrt(max(total * squares - whole * whole, 0))
    upto = np.cumsum(counts)
    ranks = {f"p{percent}": -(-percent * total // 100) for percent in (50, 90, 95, 99)}
    return Distribution(
        mean=whole / (total * PS_PER_S),
        std=deviation / (total * PS_PER_S),
        **{name: seconds(int(values[np.searchsorted(upto, rank)])) for name, rank in ranks.items()},
        max=seconds(int(values[-1])),
    )


def request_latencies(table: RequestTable) -> dict[str, Distribution]:
    """TTFT, TPOT, end to end and queueing times over completed requests."""
    done = table.phase == Phase.DONE
    arrival = table.arrival_ps[done]
    first, last = table.first_stamp_ps[done], table.last_stamp_ps[done]
    gaps = table.output[done] - 1
    several = gaps > 0
    # Rounded half up to whole picoseconds, so that percentiles stay exact.
    spans = (last - first)[several]
    per_token = (2 * spans + gaps[several]) // (2 * gaps[several])
    return {
        "ttft_s": distribution(first - arrival),
        "tpot_s": distribution(per_token),
        "e2e_s": distribution(last - arrival),
        "queue_s": distribution(table.first_round_ps[done] - arrival),
    }


def gaps_between_tokens(metrics: Sequence[ReplicaMetrics]) -> Distribution:
    """TBT over all replicas."""
    return distribution(*_merged([one.gaps for one in metrics]))


def batch_of(metrics: Sequence[ReplicaMetrics]) -> Batch:
    """Decoding requests of a round, weighted by its time."""
    return Batch(
        mean_requests=sum(one.batch_time for one in metrics)
        / max(sum(one.iteration_ps for one in metrics), 1),
        max_requests=max(one.max_batch for one in metrics),
    )


def iteration_of(metrics: Sequence[ReplicaMetrics]) -> Iteration:
    """Times from join to join, over all replicas."""
    whole = distribution(*_merged([one.iterations for one in metrics]))
    return Iteration(mean=whole.mean, p50=whole.p50, p99=whole.p99)


def _merged(tallies: Sequence[Tally]) -> tuple[Int64s, Int64s]:
    whole = Tally()
    for tally in tallies:
        whole.add(*tally.pairs())
    return whole.pairs()
