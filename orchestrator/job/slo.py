"""Service level objectives: what a job asks of its requests' latencies, and how many met it (goodput).

A request meets an objective when its latency is at most the threshold; of tbt_s that is its longest gap
between two tokens. A request of one token has no gap and meets tbt_s and tpot_s.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from l3sim.errors import InvalidInput
from l3sim.orchestrator.engine.host_stages import HostStages
from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.registry import unknown
from l3sim.specs.job import SLO_METRICS
from l3sim.units import PS_PER_S, Int64s, ps_of, seconds

Targets = Sequence[tuple[str, float]]


def check_slo(targets: Targets, host: HostStages) -> None:
    """Refuse objectives that are unknown, that no request can meet, or that contradict each other.

    Raises:
        InvalidInput: by metric.
    """
    # The host's stages alone, of one request after idleness; its passes take time as well.
    before_ps = host.scheduling_ps(1) + host.launching_ps(1)
    first_s = seconds(before_ps + host.stamp_ps(1))
    # Where handing out takes time by the token, a stamp among many is late, and the gap after it short.
    gap_s = 0.0 if host.output_request_ps else seconds(host.gap_ps(1, 1))
    least = {
        "ttft_s": first_s,
        "tbt_s": gap_s,
        "tpot_s": gap_s,
        "e2e_s": first_s,
        "queue_s": seconds(before_ps),
    }
    seen: dict[str, float] = {}
    for metric, at_most_s in targets:
        field = f"slo.{metric}"
        if metric not in least:
            raise InvalidInput(("slo", unknown("objective", metric, list(SLO_METRICS))))
        if metric in seen:
            raise InvalidInput((field, "is given twice"))
        if not (math.isfinite(at_most_s) and at_most_s > 0):
            raise InvalidInput((field, f"must be above 0 seconds, got {at_most_s}"))
        if at_most_s < least[metric]:
            text = f"{at_most_s} s is impossible: the host's stages alone take {least[metric]:g} s"
            raise InvalidInput((field, text))
        seen[metric] = at_most_s
    for part in ("ttft_s", "queue_s"):
        if "e2e_s" in seen and part in seen and seen[part] > seen["e2e_s"]:
            text = f"{seen[part]} s contradicts e2e_s of {seen['e2e_s']} s, of which it is a part"
            raise InvalidInput((f"slo.{part}", text))


def latencies_ps(table: RequestTable) -> dict[str, Int64s]:
    """Each metric of every request, ps rounded half up, shape (n,)."""
    arrival, first, last = table.arrival_ps, table.first_stamp_ps, table.last_stamp_ps
    gaps = np.maximum(table.output - 1, 1)
    return {
        "ttft_s": first - arrival,
        "tbt_s": table.longest_gap_ps,
        "tpot_s": (2 * (last - first) + gaps) // (2 * gaps),
        "e2e_s": last - arrival,
        "queue_s": table.first_round_ps - arrival,
    }


def met(targets: Targets, table: RequestTable) -> dict[str, np.ndarray]:
    """Who has ended and met each objective, and, as "all", every one of them: shape (n,)."""
    done = table.phase == Phase.DONE
    latency = latencies_ps(table)
    # Whole picoseconds: a threshold that is a latency as the report prints it is met by that latency.
    each = {metric: done & (latency[metric] <= ps_of(at_most_s)) for metric, at_most_s in targets}
    return {**each, "all": done if not each else np.logical_and.reduce(list(each.values()))}


def slo_report(targets: Targets, table: RequestTable, makespan_ps: int) -> dict[str, Any]:
    """Objectives, the share of the requests that met each, and goodput; nulls where there are none."""
    given = dict(targets)
    found: dict[str, Any] = {"at_most_s": {metric: given.get(metric) for metric in SLO_METRICS}}
    if not given:
        nothing = dict.fromkeys(("attained", "goodput_requests_per_s", "goodput_tokens_per_s"))
        return {**found, "share": dict.fromkeys(SLO_METRICS), **nothing}
    by_metric = met(targets, table)
    good = by_metric["all"]
    return {
        **found,
        "share": {
            metric: float(by_metric[metric].sum()) / len(table) if metric in by_metric else None
            for metric in SLO_METRICS
        },
        "attained": float(good.sum()) / len(table),
        "goodput_requests_per_s": int(good.sum()) * PS_PER_S / makespan_ps,
        "goodput_tokens_per_s": int(table.output[good].sum()) * PS_PER_S / makespan_ps,
    }
