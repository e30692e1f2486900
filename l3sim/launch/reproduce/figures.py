"""Published figures beside the end-to-end table, which runs answer: capacity, scaling, scheduler, energy."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from l3sim.launch.reproduce.plan import AS_PUBLISHED, OURS, ratio, run_of
from l3sim.launch.reproduce.published import Published
from l3sim.launch.reproduce.runs import Outcome, Outcomes, Run

#: Bytes of one rankset in the published scaling.
_RANKSET = 512 * 10**9
_WHOLE = 2 * 10**12
#: Ranks of a rankset; bytes a second of all channels of the host.
_RANKS, _CHANNELS_BYTES_PER_S = 16, 16 * 25.6e9
#: A clock of an HBM-PIM stack: at level ideal its length is its bandwidth, and nothing else.
_STACK_TCK_PS = 628
Measure = Callable[[Outcome, Outcome], float | None]


@dataclass(frozen=True)
class Figure:
    """A published number that two runs answer, or one.

    Attributes:
        part: heading on the page.
        ours: the same two runs on our machines; () where that is not asked.
        measure: of the first outcome and the second.
    """

    part: str
    what: str
    published: float
    source: str
    pair: tuple[Run, Run]
    measure: Measure
    ours: tuple[Run, Run] | tuple[()] = ()

    def runs(self) -> Iterator[Run]:
        """All that it needs."""
        yield from self.pair
        yield from self.ours

    def of(self, outcomes: Outcomes, pair: Sequence[Run]) -> float | None:
        """Its value; None where a run is not there or was refused."""
        found = [outcomes.get(run) for run in pair]
        if len(found) != 2 or found[0] is None or found[1] is None or found[0].refused or found[1].refused:
            return None
        return self.measure(found[0], found[1])


def _over(name: str) -> Measure:
    """A field of the first over that of the second."""

    def of(one: Outcome, other: Outcome) -> float | None:
        first, second = getattr(one, name), getattr(other, name)
        return first / second if first is not None and second else None

    return of


def figures_of(published: Published, requests: int) -> list[Figure]:
    """All of them."""
    found: list[Figure] = []
    for part in (_capacity, _scaling, _scheduler, _energy, _bandwidth):
        found += part(published, requests)
    return found


def _capacity(published: Published, requests: int) -> Iterator[Figure]:
    measures: dict[str, Measure] = {
        "throughput": ratio,
        "batch": _over("batch"),
        "latency": _over("iteration_s"),
    }
    for row in published.capacity:
        model = row["model"]
        for at, share in enumerate(row["share"]):
            settings = () if share == 1 else (("attention.memory_share", str(share)),)
            pairs = [
                (
                    run_of("l3", model, "openr1", of, requests, settings),
                    run_of("gpu-only", model, "openr1", of, requests),
                )
                for of in (AS_PUBLISHED, OURS)
            ]
            for name, measure in measures.items():
                what = f"{model}, {share:.0%} of the capacity: {name}"
                yield Figure("capacity", what, row[name][at], row["source"], pairs[0], measure, pairs[1])


def _scaling(published: Published, requests: int) -> Iterator[Figure]:
    for row in published.scaling:
        model = row["model"]
        for scaled in ("bandwidth", "capacity", "both"):
            for at, factor in enumerate(row["factor"]):
                wide = factor if scaled != "capacity" else 1
                large = factor if scaled != "bandwidth" else 1
                pair = _sized(model, wide, large, requests), _sized(model, 1, 1, requests)
                what = f"{model}, {scaled} x {factor}: throughput"
                yield Figure("scaling", what, row[scaled][at], row["source"], pair, ratio)


def _sized(model: str, ranksets: int, capacity: int, requests: int) -> Run:
    """L3 with so many ranksets of 16 ranks, and so many times 512 GB, on the same channels."""
    modules = _RANKS * ranksets
    settings = (
        ("attention.capacity_bytes", str(capacity * _RANKSET)),
        ("link.channel_bytes_per_s", str(_CHANNELS_BYTES_PER_S / modules)),
    )
    return run_of("l3", model, "openr1", AS_PUBLISHED, requests, settings, modules=modules)


def _scheduler(published: Published, requests: int) -> Iterator[Figure]:
    for row in published.scheduler:
        model = row["model"]
        base = run_of("l3", model, "openr1", AS_PUBLISHED, requests, (), "fill")
        for at, factor in enumerate(row["capacity"]):
            more = () if factor == 1 else (("attention.capacity_bytes", str(int(factor * _WHOLE))),)
            for policy, prefix in (("l3", ""), ("fill", "base_")):
                run = run_of("l3", model, "openr1", AS_PUBLISHED, requests, more, policy)
                for name, measure in (("throughput", ratio), ("tbt", _over("tbt_s"))):
                    what = f"{model}, {factor} x capacity, policy {policy}: {name}"
                    value = row[prefix + name][at]
                    yield Figure("scheduler", what, value, row["source"], (run, base), measure)


def _energy(published: Published, requests: int) -> Iterator[Figure]:
    for row in published.energy:
        pairs = [
            (
                run_of(row["system"], "gpt-175b", "openr1", of, requests),
                run_of("hbm-pim", "gpt-175b", "openr1", of, requests),
            )
            for of in (AS_PUBLISHED, OURS)
        ]
        what = f"gpt-175b, openr1, {row['system']}: energy a token over HBM-PIM's"
        yield Figure(
            "energy", what, row["value"], row["source"], pairs[0], _over("joules_per_token"), pairs[1]
        )


def _bandwidth(published: Published, requests: int) -> Iterator[Figure]:
    for row in published.hbm_bandwidth:
        wider = (("attention.tck_ps", str(_STACK_TCK_PS // row["factor"])),)
        pair = (
            run_of("hbm-pim", "gpt-175b", "openr1", AS_PUBLISHED, requests, wider),
            run_of("hbm-pim", "gpt-175b", "openr1", AS_PUBLISHED, requests),
        )
        what = f"HBM-PIM with {row['factor']} x the bandwidth, gpt-175b, openr1: throughput (at most)"
        yield Figure("HBM-PIM's bandwidth", what, row["at_most"], row["source"], pair, ratio)
