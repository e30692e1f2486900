"""What a device answers: whole, sane, the same again, the same in any cut, and never less for more."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from l3sim.conformance.story import Story, all_shapes, question
from l3sim.conformance.subject import Subject
from l3sim.conformance.verdicts import Failed, Skipped
from l3sim.errors import InvalidInput
from l3sim.transport.convert.rounds import check_values
from l3sim.units import NJ_PER_J, PS_PER_S, Int64s
from l3sim.work import Costs, Op, Role, SubBatch, Window

#: Energy over time of one operation of one layer: more than a whole machine room draws.
MAX_POWER_W = 10**8
#: Operations of decoding requests, and of prompts; all others are of every pass.
OF_DECODING = frozenset({Op.ATTEND_DECODE, Op.TRANSFER_DOWN, Op.TRANSFER_UP})
OF_PROMPTS = frozenset({Op.ATTEND_PREFILL, Op.TRANSFER_KV})
#: Rounds in which windowed and lockstep are compared.
ROUNDS = 6
#: Ladders of the check `monotone`: each step asks for more of one thing.
CONTEXTS = (1, 2, 63, 64, 65, 500, 512, 4096, 32768)
REQUESTS = (1, 2, 3, 8, 9, 32, 128)
CHUNKS = (1, 2, 64, 65, 512, 2048)
FINISHED = (0, 1, 64, 2048, 30000)


async def answers_all_shapes(subject: Subject) -> None:
    """Every shape of window gets well-formed costs of listed operations, one wherever there is work."""
    async with subject.session() as talk:
        domains = len(subject.assignments)
        for number, (window, costs) in enumerate(await all_shapes(Story(talk, subject.layout.ranksets)), 1):
            try:
                _check_form(subject, window, costs, domains)
                _check_work(subject, window, costs)
            except Failed as failed:
                raise Failed(f"window {number} of {_shape(window)}: {failed}") from None


async def has_sane_units(subject: Subject) -> None:
    """Picoseconds are 0 to 10^18, nanojoules at least 0, and their ratio is no more than a machine draws."""
    async with subject.session() as talk:
        for _, costs in await all_shapes(Story(talk, subject.layout.ranksets)):
            for cost in costs.costs:
                try:
                    check_values(cost)
                except InvalidInput as error:
                    raise Failed(str(error)) from None
                busy_ps = cost.duration_ps.max(axis=0).astype(np.float64) * len(cost.device)
                if (cost.energy_nj * (PS_PER_S / NJ_PER_J) > MAX_POWER_W * np.maximum(busy_ps, 1)).any():
                    raise Failed(f"{cost.op}: more than {MAX_POWER_W} W; energy is in nJ, time in ps")


async def is_deterministic(subject: Subject) -> None:
    """The same session gives the same answers, also while another one is under way."""
    async with subject.session() as first:
        alone = await all_shapes(Story(first, subject.layout.ranksets))
    async with subject.session() as first, subject.session() as other:
        await Story(other, subject.layout.ranksets).play(chunks=[{7: 333}])
        beside = await all_shapes(Story(first, subject.layout.ranksets))
    for number, ((window, one), (_, two)) in enumerate(zip(alone, beside, strict=True), 1):
        if one.valid_rounds != two.valid_rounds or not _equal(subject, one, two, one.valid_rounds):
            raise Failed(f"window {number} of {_shape(window)} costs something else the second time")


async def is_the_same_in_lockstep(subject: Subject) -> None:
    """A window of several rounds costs what as many windows of one round do, within its lookahead."""
    foresight = subject.description.lookahead_rounds or ROUNDS
    if foresight == 1:
        raise Skipped("it foresees one round")
    async with subject.session() as windowed, subject.session() as lockstep:
        whole, cut = (Story(talk, subject.layout.ranksets) for talk in (windowed, lockstep))
        for story in (whole, cut):
            await story.play(chunks=[{0: 250, 1: 31}])
        _, costs = await whole.play(decode=[[0, 1]], rounds=ROUNDS)
        if costs.valid_rounds > foresight:
            raise Failed(f"it answered {costs.valid_rounds} rounds, its lookahead is {foresight}")
        for number in range(costs.valid_rounds):
            _, single = await cut.play(decode=[[0, 1]])
            of_window = _table(subject, costs, costs.valid_rounds)[..., number : number + 1]
            if not np.array_equal(of_window, _table(subject, single, 1)):
                raise Failed(f"round {number + 1} of a window of {ROUNDS} costs something else in lockstep")


async def leaves_no_trace(subject: Subject) -> None:
    """An estimate and a window that is never committed change nothing, and an estimate is what comes."""
    async with subject.session() as talk:
        story = Story(talk, subject.layout.ranksets)
        await story.play(chunks=[{0: 250}])
        await story.play(decode=[[0]])
        first = await talk.window(story.window(decode=[[0]], rounds=1))
        (guess,) = await talk.estimate([question(1, [story.held[0]])])
        # Asked again under another id, the one before never having happened.
        again = await talk.window(story.window(decode=[[0]], rounds=1))
    if not _equal(subject, first, again, 1):
        raise Failed("a window that was not committed changes what the next one costs")
    if not _equal(subject, first, guess, 1):
        raise Failed("an estimate differs from what the same window costs")


async def is_monotone(subject: Subject) -> None:
    """More tokens, requests or bytes never cost less, operation by operation."""
    ranksets = subject.layout.ranksets
    ladders = {
        "longer contexts": [question(1, [tokens, tokens], ranksets=ranksets) for tokens in CONTEXTS],
        "more requests": [question(1, [512] * count, ranksets=ranksets) for count in REQUESTS],
        "larger chunks": [question(1, tokens=tokens, ranksets=ranksets) for tokens in CHUNKS],
        "later chunks": [question(1, tokens=64, finished=done, ranksets=ranksets) for done in FINISHED],
    }
    for what, windows in ladders.items():
        async with subject.session() as talk:
            answers = await talk.estimate(windows)
        for op in sorted(subject.operations):
            totals = [sum(int(c.duration_ps.sum()) for c in one.costs if c.op == op) for one in answers]
            for less, more in pairwise(totals):
                if more < less:
                    raise Failed(
                        f"{what}: {op} falls from {less} to {more} ps ({', '.join(map(str, totals))})"
                    )


def _check_form(subject: Subject, window: Window, costs: Costs, domains: int) -> None:
    if costs.window_id != window.window_id:
        raise Failed(f"it answered window {costs.window_id}")
    if costs.valid_rounds > window.rounds:
        raise Failed(f"it answered {costs.valid_rounds} rounds of {window.rounds}")
    batches = {batch.index for batch in window.sub_batches}
    lanes: set[tuple[str, int, int, int]] = set()
    for cost in costs.costs:
        if cost.op not in subject.operations:
            raise Failed(f"operation {cost.op!r} is not among those that it lists")
        if cost.sub_batch not in batches:
            raise Failed(f"{cost.op}: there is no sub-batch {cost.sub_batch}")
        if cost.duration_ps.shape[1] not in (1, subject.layout.ranksets):
            text = f"must be 1 or the ranksets ({subject.layout.ranksets}), got {cost.duration_ps.shape[1]}"
            raise Failed(f"{cost.op}: layer_classes {text}")
        lanes_of_role = (len(cost.device), cost.duration_ps.shape[1])
        if subject.description.role == Role.GPU and lanes_of_role != (1, 1):
            raise Failed(f"{cost.op}: a gpu has one lane and one layer class, got {lanes_of_role}")
        same = subject.description.role == Role.LINK and not subject.layout.striped
        if same and cost.duration_ps.shape[2] != 1:
            raise Failed(f"{cost.op}: a link moves the same in every round; rounds must be 1")
        for device, domain in zip(cost.device, cost.domain, strict=True):
            lane = (cost.op, cost.sub_batch, device, domain)
            unused = domains and (domain >= domains or subject.assignments[domain].unused)
            if device != 0 or unused or lane in lanes:
                why = "comes twice" if lane in lanes else "does not exist"
                raise Failed(f"{cost.op}: lane of device {device}, domain {domain} {why}")
            lanes.add(lane)


def _check_work(subject: Subject, window: Window, costs: Costs) -> None:
    for batch in window.sub_batches:
        for op in sorted(subject.operations):
            found = [c for c in costs.costs if c.op == op and c.sub_batch == batch.index]
            costly = any(bool((c.duration_ps != 0).any()) for c in found)
            if costly != _has_work(op, batch):
                raise Failed(f"{op} {'has a cost without work' if costly else 'has work without a cost'}")


def _has_work(op: str, batch: SubBatch) -> bool:
    if op in OF_DECODING:
        return len(batch.decode) > 0
    return len(batch.chunks) > 0 if op in OF_PROMPTS else True


def _equal(subject: Subject, one: Costs, two: Costs, rounds: int) -> bool:
    return np.array_equal(_table(subject, one, rounds), _table(subject, two, rounds))


def _table(subject: Subject, costs: Costs, rounds: int) -> Int64s:
    """Durations and energies in one array, over everything that may have any: last axis rounds."""
    ops = sorted(subject.operations)
    classes = subject.layout.ranksets
    lanes = sorted({domain for cost in costs.costs for domain in cost.domain})
    table = np.zeros((len(ops), 2, max(lanes, default=0) + 2, classes, rounds), dtype=np.int64)
    for cost in costs.costs:
        where = table[ops.index(cost.op), cost.sub_batch]
        where[list(cost.domain)] = cost.duration_ps[:, :, :rounds]
        where[-1] += cost.energy_nj[:, :rounds]
    return table


def _shape(window: Window) -> str:
    parts: Sequence[str] = [
        f"{len(batch.decode)} decoding + {len(batch.chunks)} chunks" for batch in window.sub_batches
    ]
    return f"{' | '.join(parts)} x {window.rounds}"
