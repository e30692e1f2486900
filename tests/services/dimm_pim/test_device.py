"""Modules as devices: every rank lane against a plain loop, however modules are packed."""

from functools import cache
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from l3sim.placement import Layout
from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.services.dimm_pim.roofline import GroupCosts, head_group
from l3sim.specs.machine import Machine
from l3sim.specs.model import ModelShape
from l3sim.units import nj
from l3sim.work import Chunk, Hello, Op, SubBatch
from tests.services.builders import (
    Resident,
    decoding,
    hello,
    identities,
    lanes,
    machine,
    op_cost,
    reshaped,
    window,
)

ALL = range(8)


def small(level: str = "roofline", **settings: Any) -> Machine:
    """4 channels, 4 ranksets."""
    chosen = {f"attention__{key}": value for key, value in settings.items()}
    return machine(attention__modules=8, attention__level=level, **chosen)


def job(model: ModelShape, dp: int = 1, on: Machine | None = None, modules: Any = ALL) -> Hello:
    return hello("attention", on or small(), model, 1, dp, modules)


def residents_of(draw: st.DrawFn, ranks: int, most: int = 12) -> list[Resident]:
    one = st.tuples(st.integers(0, 3), st.integers(0, ranks - 1), st.integers(0, 5000))
    return [(i, *rest) for i, rest in enumerate(draw(st.lists(one, min_size=1, max_size=most)))]


@st.composite
def cases(draw: st.DrawFn) -> tuple[ModelShape, list[Resident], list[Resident], int]:
    # 1 to 9 groups on 4 ranks: fewer than ranks, a multiple, and ranges that wrap around.
    kv_heads = draw(st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9]))
    residents = residents_of(draw, 4)
    cut = draw(st.integers(0, len(residents)))
    shape = reshaped("llama-2-7b", heads=kv_heads, kv_heads=kv_heads)
    return shape, residents[:cut], residents[cut:], draw(st.integers(1, 5))


group_costs = cache(GroupCosts)


def attended(
    session: Hello, residents: list[Resident], assignment: Any, layer: int, round_: int
) -> list[tuple[int, bool]]:
    """Tokens of a rank's head groups in the order in which it runs them: by first rank, then by request.

    Where KV is striped, what lies further on counts as of a request placed there; a token is on one rank.
    """
    layout = session.layout
    parts = [
        (offset, (rank + step) % layout.ranks, tokens, tokens > before)
        for _, offset, rank, context in residents
        for step, (tokens, before) in enumerate(
            zip(*(stripes_of(context + round_ + new, layout) for new in (1, 0)), strict=True)
        )
    ]
    return [
        (tokens, new)
        for offset, rank, tokens, new in sorted(parts, key=lambda part: part[1])
        if (offset + layer) % layout.ranksets == assignment.rankset
        for group in range(layout.groups)
        if tokens and (rank + group) % layout.ranks == assignment.rank
    ]


def stripes_of(tokens: int, layout: Layout) -> list[int]:
    """Tokens of a head group by how far their rank is from its first one, dealt one by one."""
    if not layout.stripe_tokens:
        return [tokens]
    there = [0] * layout.ranks
    for token in range(tokens):
        there[token // layout.stripe_tokens % layout.ranks] += 1
    return there


def expected(session: Hello, residents: list[Resident], assignment: Any, layer: int, round_: int) -> int:
    """A rank's time at level roofline."""
    costs = group_costs(head_group(small().attention, session.model, session.layout))
    tokens = [count for count, _ in attended(session, residents, assignment, layer, round_)]
    return sum(int(costs.at(np.array([count]), count)[0]) for count in tokens)


def batches(*halves: list[Resident]) -> list[SubBatch]:
    return [decoding(half, index) for index, half in enumerate(halves) if half]


#: None, and stripes that begin within a window or are longer than any request.
STRIPES: list[dict[str, Any]] = [
    {},
    *({"partition": "block", "kv_block_tokens": 1, "stripe_tokens": each} for each in (1, 700, 8000)),
]


@given(case=cases(), stripes=st.sampled_from(STRIPES))
def test_lanes_against_a_plain_loop(
    case: tuple[ModelShape, list[Resident], list[Resident], int], stripes: dict[str, Any]
) -> None:
    shape, first, second, rounds = case
    session = job(shape, on=small(**stripes))
    asked = window(*batches(first, second), residents=first + second, rounds=rounds)
    (answer,) = DimmPimDevice(identities(ALL)).open(session).estimate([asked])
    assert answer.valid_rounds == rounds
    for index, half in enumerate((first, second)):
        if not half:
            assert all(cost.sub_batch != index for cost in answer.costs)
            continue
        cost = op_cost(answer, Op.ATTEND_DECODE, index)
        assert cost.duration_ps.shape == (16, 4, rounds)
        energy = np.zeros((4, rounds), dtype=np.int64)
        for lane, (device, domain) in enumerate(zip(cost.device, cost.domain, strict=True)):
            assignment = session.slots[device].assignments[domain]
            for layer in range(4):
                for round_ in range(rounds):
                    assert cost.duration_ps[lane, layer, round_] == expected(
                        session, half, assignment, layer, round_
                    )
            energy += nj(6.0, cost.duration_ps[lane])
        assert cost.energy_nj.tolist() == energy.tolist()


@given(case=cases(), cut=st.integers(1, 7))
def test_splitting_modules_over_processes_changes_nothing(
    case: tuple[ModelShape, list[Resident], list[Resident], int], cut: int
) -> None:
    shape, first, second, rounds = case
    asked = window(*batches(first, second), residents=first + second, rounds=rounds)

    def answers(modules: Any) -> tuple[dict[Any, Any], int]:
        session = job(shape, modules=modules)
        (costs,) = DimmPimDevice(identities(modules)).open(session).estimate([asked])
        return lanes(costs, [slot.slot for slot in session.slots]), sum(
            int(c.energy_nj.sum()) for c in costs.costs
        )

    whole, energy = answers(ALL)
    parts = [answers([m]) for m in range(cut)] + [answers(range(cut, 8))]
    assert {key: value for part, _ in parts for key, value in part.items()} == whole
    assert sum(part for _, part in parts) == energy


@given(case=cases())
def test_a_window_is_so_many_windows_of_one_round(
    case: tuple[ModelShape, list[Resident], list[Resident], int],
) -> None:
    shape, first, second, rounds = case
    device = DimmPimDevice(identities(ALL)).open(job(shape))
    everyone = first + second
    (long,) = device.estimate([window(*batches(first, second), residents=everyone, rounds=rounds)])

    def later(half: list[Resident], by: int) -> list[Resident]:
        return [(*resident[:3], resident[3] + by) for resident in half]

    steps = [
        window(*batches(later(first, i), later(second, i)), residents=everyone, window_id=i)
        for i in range(rounds)
    ]
    for i, short in enumerate(device.estimate(steps)):
        for one, many in zip(short.costs, long.costs, strict=True):
            assert one.duration_ps[:, :, 0].tolist() == many.duration_ps[:, :, i].tolist()
            assert one.energy_nj[:, 0].tolist() == many.energy_nj[:, i].tolist()


def test_overrides_change_only_their_module() -> None:
    residents = [(i, i % 4, i % 4, 1000 + i) for i in range(9)]
    asked = window(decoding(residents), residents=residents, rounds=3)
    session = job(reshaped("llama-2-7b"))

    def durations(overrides: Any) -> tuple[dict[Any, Any], Any]:
        opened = DimmPimDevice(identities(ALL, overrides)).open(session)
        (costs,) = opened.estimate([asked])
        return lanes(costs, [slot.slot for slot in session.slots]), opened.ready()

    base, _ = durations({})
    slow, ready = durations({3: {"ccd_l_tck": 16, "memory_share": 0.5}})
    changed = {key[1] for key in base if base[key] != slow[key]}
    assert changed == {"dimm-03"}
    whole = small().attention.kv_room_bytes(session.layout, session.model)
    assert [answer.regions[0].capacity_bytes for answer in ready] == [
        whole // 2 if slot == 3 else whole for slot in range(8)
    ]
    assert ready[3].config["ccd_l_tck"] == 16
    # The same as that machine with all its modules slow, in that module.
    on = small(ccd_l_tck=16, n_hc=8)
    (all_slow,) = DimmPimDevice(identities(ALL)).open(job(reshaped("llama-2-7b"), on=on)).estimate([asked])
    reference = lanes(all_slow, [slot.slot for slot in session.slots])
    assert [slow[key] == reference[key] for key in slow if key[1] == "dimm-03"] == [True, True]


def test_energy_counts_each_modules_own_power() -> None:
    residents = [(0, 0, 0, 1000)]
    asked = window(decoding(residents), residents=residents)
    session = job(reshaped("llama-2-7b"))
    opened = DimmPimDevice(identities(ALL, {0: {"rank_active_w": 12.0}})).open(session)
    (answer,) = opened.estimate([asked])
    cost = op_cost(answer, Op.ATTEND_DECODE)
    watts = [12.0 if device == 0 else 6.0 for device in cost.device]
    total = sum(nj(w, duration) for w, duration in zip(watts, cost.duration_ps, strict=True))
    assert cost.energy_nj.tolist() == np.asarray(total).tolist()


def test_only_the_lanes_of_the_windows_replica() -> None:
    session = job(reshaped("llama-2-7b"), dp=2)
    residents = [(5, 1, 1, 10)]
    opened = DimmPimDevice(identities(ALL)).open(session)
    answers = opened.estimate(
        [window(decoding(residents), residents=residents, replica=replica) for replica in (0, 1)]
    )
    owners = [set(op_cost(answer, Op.ATTEND_DECODE).device) for answer in answers]
    assert owners == [{0, 1, 2, 3}, {4, 5, 6, 7}]
    alone = DimmPimDevice(identities([0])).open(job(reshaped("llama-2-7b"), dp=2, modules=[0]))
    (nothing,) = alone.estimate([window(decoding(residents), residents=residents, replica=1)])
    assert nothing.costs == ()


def test_unused_ranks_cost_and_hold_nothing() -> None:
    session = job(reshaped("llama-2-7b"), on=small(ranksets=2))
    opened = DimmPimDevice(identities(ALL)).open(session)
    residents = [(0, 1, 2, 100)]
    (answer,) = opened.estimate([window(decoding(residents), residents=residents)])
    cost = op_cost(answer, Op.ATTEND_DECODE)
    assert cost.duration_ps.shape == (8, 2, 1)
    assert set(cost.device) == {0, 2, 4, 6}
    assert [answer.regions[0].capacity_bytes > 0 for answer in opened.ready()] == [True, False] * 4


def test_a_pass_without_decoding_has_no_cost() -> None:
    opened = DimmPimDevice(identities(ALL)).open(job(reshaped("llama-2-7b")))
    batch = decoding([], chunks=[Chunk(0, 64, 0, True)])
    (answer,) = opened.estimate([window(batch, residents=[(0, 0, 0, 0)])])
    assert answer.costs == ()


def test_describe_and_ready() -> None:
    device = DimmPimDevice(identities([7], {7: {"module_idle_w": 2.5}}))
    (who,) = device.describe()
    assert (who.device_id, who.role, who.kind, who.operations) == (
        "d7",
        "attention",
        "dimm-pim",
        ("attend_decode",),
    )
    assert who.overrides_json == '{"module_idle_w": 2.5}'
    assert '"ccd_l_tck"' in who.config_schema_json
    (ready,) = device.open(job(reshaped("llama-2-7b"), modules=[7])).ready()
    assert (ready.slot, ready.level, ready.domains, ready.idle_mw) == (
        "dimm-07",
        "roofline",
        ("rank-0", "rank-1"),
        2500,
    )
