"""What a report must say of runs of the slow engine: docs/report.md, word by word, from plain lists."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest

from tests.orchestrator.slow_engine import SlowReplica
from tests.orchestrator.slow_state import Life
from tests.orchestrator.small_jobs import SmallJob

PS = 10**12


def close(value: Fraction | float) -> Any:
    """Equal but for the last digits of a float."""
    return pytest.approx(float(value), rel=1e-12, abs=1e-15)


def slow_distribution(values: Sequence[int]) -> dict[str, Any]:
    """Mean, standard deviation over n, nearest-rank percentiles and maximum of picoseconds, in seconds."""
    names = ("mean", "std", "p50", "p90", "p95", "p99", "max")
    if not values:
        return dict.fromkeys(names)
    ranked = sorted(values)
    mean = Fraction(sum(values), len(values))
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    result = {"mean": close(mean / PS), "std": pytest.approx(math.sqrt(variance) / PS, rel=1e-9, abs=1e-12)}
    for percent in (50, 90, 95, 99):
        # Nearest rank: the least value that at least so many percent do not exceed.
        result[f"p{percent}"] = next(
            value / PS
            for value in ranked
            if 100 * sum(other <= value for other in ranked) >= percent * len(ranked)
        )
    return {**result, "max": ranked[-1] / PS}


def slow_report(job: SmallJob, replicas: Sequence[SlowReplica]) -> dict[str, Any]:
    """The parts of a report that tell what happened."""
    lives = [life for replica in replicas for life in replica.lives]
    counts = [replica.counts for replica in replicas]
    makespan = max(one.end_ps for one in counts)
    iterations = [time for one in counts for time in one.iterations]
    iteration = slow_distribution(iterations)
    output = sum(len(life.stamps) for life in lives)
    return {
        "requests": {
            "submitted": len(lives),
            "completed": len(lives),
            "failed": 0,
            "preempted": sum(life.preemptions > 0 for life in lives),
        },
        "preemptions": sum(life.preemptions for life in lives),
        "tokens": {
            "prompt": sum(life.prompt for life in lives),
            "output": output,
            "recomputed": sum(life.recomputed for life in lives),
            "moved": 0,
        },
        "makespan_s": makespan / PS,
        "throughput_tokens_per_s": close(Fraction(output * PS, makespan)),
        "steady": _steady(job, replicas, makespan),
        "rate": _rate(job, lives),
        **_latencies(lives),
        "batch": {
            "mean_requests": close(Fraction(sum(one.batch_time for one in counts), sum(iterations))),
            "max_requests": max(one.max_batch for one in counts),
        },
        "iterations": len(iterations),
        "iteration_s": {key: iteration[key] for key in ("mean", "p50", "p99")},
        "utilization": _shares(replicas, makespan * len(replicas)),
        "bubbles": _bubbles(replicas, sum(one.active_ps for one in counts)),
        "host_s": {
            stage: sum(one.host.get(stage, 0) for one in counts) / PS
            for stage in ("sample", "schedule", "launch", "output")
        },
        "energy_j": _energy(job, replicas, makespan),
        "kv": _kv(replicas),
        "balance": _balance(replicas),
    }


def _is_open(job: SmallJob, lives: Sequence[Life]) -> bool:
    return job.spec.workload.concurrency is None and len({life.arrival_ps for life in lives}) > 1


def _rate(job: SmallJob, lives: Sequence[Life]) -> dict[str, Any]:
    if not _is_open(job, lives):
        return {"offered": None, "achieved": None}
    times = sorted(life.arrival_ps for life in lives)
    end = max(life.stamps[-1] for life in lives)
    return {
        "offered": close(Fraction((len(times) - 1) * PS, times[-1] - times[0])),
        "achieved": close(Fraction(len(times) * PS, end - times[0])),
    }


def _steady(job: SmallJob, replicas: Sequence[SlowReplica], makespan: int) -> dict[str, Any]:
    """Round by round: those that count are thrown into one list, and looked at."""
    lives = [life for replica in replicas for life in replica.lives]
    first, last = (pick(life.arrival_ps for life in lives) for pick in (min, max))
    found = []
    for replica in replicas:
        rounds = replica.counts.history
        if _is_open(job, lives):
            kept = [one for one in rounds if first <= one[0] and one[1] <= last]
        else:
            most = max((one[2] for one in rounds), default=0)
            full = [n for n, one in enumerate(rounds) if one[2] == most]
            waits = [n for n, one in enumerate(rounds) if one[4]]
            kept = rounds[full[0] : waits[-1] + 1] if full and waits else []
        if not kept:
            return dict.fromkeys(("throughput_tokens_per_s", "from_s", "to_s", "share_of_makespan"))
        found.append((kept[0][0], kept[-1][1], sum(one[3] for one in kept)))
    return {
        "throughput_tokens_per_s": close(sum(Fraction(made * PS, to - begun) for begun, to, made in found)),
        "from_s": max(begun for begun, _, _ in found) / PS,
        "to_s": min(to for _, to, _ in found) / PS,
        "share_of_makespan": close(
            Fraction(sum(to - begun for begun, to, _ in found), len(found) * makespan)
        ),
    }


def _latencies(lives: Sequence[Life]) -> dict[str, Any]:
    gaps = [
        later - earlier
        for life in lives
        for earlier, later in zip(life.stamps, life.stamps[1:], strict=False)
    ]
    per_token = [
        math.floor(Fraction(life.stamps[-1] - life.stamps[0], life.output - 1) + Fraction(1, 2))
        for life in lives
        if life.output > 1
    ]
    return {
        "ttft_s": slow_distribution([life.stamps[0] - life.arrival_ps for life in lives]),
        "tbt_s": slow_distribution(gaps),
        "tpot_s": slow_distribution(per_token),
        "e2e_s": slow_distribution([life.stamps[-1] - life.arrival_ps for life in lives]),
        "queue_s": slow_distribution([life.first_round_ps - life.arrival_ps for life in lives]),
    }


def _kv(replicas: Sequence[SlowReplica]) -> dict[str, Any]:
    counts, meter = [replica.counts for replica in replicas], replicas[0].meter
    rooms = [replica.rules.room_bytes * replica.meter.ranksets * replica.meter.ranks for replica in replicas]
    # Bytes of a layer: what tokens fill, and what blocks of all head groups take.
    filled = sum(sum(one.token_time.values()) for one in counts) * meter.model.layer_kv_bytes
    room = sum(one.block_time for one in counts) * meter.groups * int(meter.block_bytes)
    asked, hits = sum(one.asked_blocks for one in counts), sum(one.hit_blocks for one in counts)
    return {
        "capacity_bytes": sum(rooms),
        "peak_bytes": sum(one.peak_bytes for one in counts),
        "block_tokens": meter.block_tokens,
        "block_bytes": int(meter.block_bytes),
        "fragmentation": pytest.approx(float(1 - Fraction(filled, room)), abs=1e-12),
        "prefix": {
            "asked_tokens": asked * meter.block_tokens,
            "hit_tokens": hits * meter.block_tokens,
            "hit_rate": close(Fraction(hits, asked)) if asked else None,
            "saved_peak_bytes": sum(one.saved_bytes for one in counts),
        },
    }


def _balance(replicas: Sequence[SlowReplica]) -> dict[str, Any]:
    ranks = []
    for index, replica in enumerate(replicas):
        meter, time = replica.meter, max(sum(replica.counts.iterations), 1)
        tokens: dict[tuple[int, int], int] = {}
        for (o, b), held in replica.counts.token_time.items():
            for layer in range(meter.model.layers):
                for group in range(meter.groups):
                    at = (o + layer) % meter.ranksets, (b + group) % meter.ranks
                    tokens[at] = tokens.get(at, 0) + held
        for j in range(meter.ranksets):
            for r in range(meter.ranks):
                busy = replica.counts.busy.get(f"rank {j} {r}", 0)
                ranks.append((index, j, r, Fraction(tokens.get((j, r), 0), time), Fraction(busy, PS)))
    return {
        "tokens": _spread([one[3] for one in ranks]),
        "attention_s": _spread([one[4] for one in ranks]),
        "ranks": [
            {"replica": d, "rankset": j, "rank": r, "tokens": close(held), "attention_s": close(busy)}
            for d, j, r, held, busy in ranks
        ],
    }


def _spread(values: Sequence[Fraction]) -> dict[str, Any]:
    mean = sum(values) / Fraction(len(values))
    most = close(max(values) / mean) if mean else None
    return {"mean": close(mean), "max": close(max(values)), "max_to_mean": most}


def _shares(replicas: Sequence[SlowReplica], span_ps: int) -> dict[str, Any]:
    ranks = replicas[0].meter.ranksets * replicas[0].meter.ranks
    domains = {"gpu": 1, "attention": ranks, "link_down": 1, "link_up": 1}
    return {
        name: close(Fraction(sum(one.counts.busy.get(name, 0) for one in replicas), count * span_ps))
        for name, count in domains.items()
    }


def _bubbles(replicas: Sequence[SlowReplica], active_ps: int) -> dict[str, Any]:
    busy = _shares(replicas, active_ps)
    return {name: pytest.approx(1 - busy[name].expected, abs=1e-12) for name in ("gpu", "attention")}


def _energy(job: SmallJob, replicas: Sequence[SlowReplica], makespan: int) -> dict[str, Any]:
    machine = job.machine
    rows = {
        row: Fraction(sum(one.counts.energy.get(row, 0) for one in replicas), 10**9)
        for row in ("gpu", "attention", "link")
    }
    idle_w = machine.gpu.idle_w * machine.gpu.gpus + machine.link.idle_w
    idle_w += machine.attention.module_idle_w * machine.attention.modules
    rows["host"] = Fraction(machine.host.power_w) * makespan / PS
    rows["idle"] = Fraction(idle_w) * makespan / PS
    # Host and idle are rounded down to nanojoules.
    parts = {row: pytest.approx(float(value), rel=1e-12, abs=1.1e-9) for row, value in rows.items()}
    return {"total": pytest.approx(float(sum(rows.values())), rel=1e-12, abs=2.1e-9), **parts}
