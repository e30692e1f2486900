"""Transfers of striped KV, byte by byte: every head of every request, rank by rank and GPU by GPU."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3sim.device import Identity
from l3sim.ports import DeviceSession
from l3sim.services.interconnect.device import InterconnectDevice
from l3sim.units import ps
from l3sim.work import Chunk, Costs, Hello
from tests.services.builders import decoding, hello, machine, op_cost, reshaped, window

#: A machine of 16 channels and 4 ranksets; two replicas have 8 channels each.
STRIPE = 192


def opened(model: str, tp: int, stripe: int = STRIPE, **settings: Any) -> tuple[Hello, DeviceSession]:
    on = machine(
        attention__partition="block",
        attention__kv_block_tokens=64,
        attention__stripe_tokens=stripe,
        **settings,
    )
    shape = reshaped(model, layers=4)
    said = hello("link", on, shape, tp, 2)
    return said, InterconnectDevice([Identity("link")]).open(said)


def of_offset(costs: Costs, op: str, offset: int, round_: int = 0) -> int:
    """Time of layer 0, which lies on the rankset of the offset."""
    durations = op_cost(costs, op).duration_ps
    return int(durations[offset, 0, min(round_, durations.shape[2] - 1)])


def by_hand(said: Hello, moved: Counter[tuple[str, int]], setup_s: float = 1e-6) -> int:
    """Time of bytes by ("gpu", i) and ("channel", r): the fullest endpoint."""
    rates = {"gpu": 32e9 * 0.85, "channel": 25.6e9}
    if not any(moved.values()):
        return 0
    return int(ps(np.array([setup_s + max(size / rates[kind] for (kind, _), size in moved.items())]))[0])


def ranks_of(said: Hello, tokens: int) -> set[int]:
    """Steps from its first rank on which a head group has some of so many tokens."""
    return {token // said.layout.stripe_tokens % said.layout.ranks for token in range(tokens)}


def decode_bytes(
    said: Hello, residents: list[Any], offset: int, round_: int, up: bool
) -> Counter[tuple[str, int]]:
    model, layout = said.model, said.layout
    moved: Counter[tuple[str, int]] = Counter()
    for _, at, first, context in residents:
        if at != offset:
            continue
        tokens = context + round_ + 1
        steps = ranks_of(said, tokens)
        newest = (tokens - 1) // layout.stripe_tokens % layout.ranks
        for head in range(model.kv_heads):
            group = head // layout.heads_per_group
            for step in steps:
                channel = ("channel", (first + group + step) % layout.ranks)
                for query in range(head * model.queries_per_kv, (head + 1) * model.queries_per_kv):
                    size = model.head_size * 2
                    if up and len(steps) > 1:
                        size = model.head_size * 4 + 8
                    moved[channel] += size
                    moved["gpu", query * layout.tp // model.heads] += size
                if not up and step == newest:
                    moved[channel] += model.head_kv_bytes
                    moved["gpu", head * model.queries_per_kv * layout.tp // model.heads] += (
                        model.head_kv_bytes
                    )
    return moved


RESIDENTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 7), st.integers(0, 3000)), min_size=1, max_size=6
)


@settings(max_examples=40, deadline=None)
@given(RESIDENTS, st.sampled_from([("llama-2-70b", 4), ("llama-2-7b", 2)]), st.integers(1, 5))
def test_decoding_moves_q_to_every_rank_and_partial_results_back(
    bins: list[tuple[int, int, int]], on: tuple[str, int], rounds: int
) -> None:
    said, session = opened(*on)
    residents = [(number, *one) for number, one in enumerate(bins)]
    (answer,) = session.estimate([window(decoding(residents), residents=residents, rounds=rounds)])
    for offset in range(4):
        for round_ in range(rounds):
            for op, up in (("transfer_down", False), ("transfer_up", True)):
                moved = decode_bytes(said, residents, offset, round_, up)
                assert of_offset(answer, op, offset, round_) == by_hand(said, moved)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 7), st.integers(0, 2000), st.integers(1, 2000))
def test_chunks_go_to_the_ranks_of_their_stripes(first: int, finished: int, tokens: int) -> None:
    said, session = opened("llama-2-70b", 4)
    model, layout = said.model, said.layout
    chunk = Chunk(0, tokens, finished, True)
    (answer,) = session.estimate([window(decoding([], 0, [chunk]), residents=[(0, 2, first, 0)])])
    moved: Counter[tuple[str, int]] = Counter()
    for token in range(finished, finished + tokens):
        for head in range(model.kv_heads):
            step = head // layout.heads_per_group + token // layout.stripe_tokens
            moved["channel", (first + step) % layout.ranks] += model.head_kv_bytes
            moved["gpu", head * model.queries_per_kv * 4 // model.heads] += model.head_kv_bytes
    assert of_offset(answer, "transfer_kv", 2) == by_hand(said, moved)


@given(RESIDENTS)
def test_stripes_longer_than_any_request_change_nothing(bins: list[tuple[int, int, int]]) -> None:
    residents = [(number, *one) for number, one in enumerate(bins)]
    asked = window(decoding(residents), residents=residents, rounds=3)
    _, striped = opened("llama-2-70b", 4, stripe=64_000)
    plain = InterconnectDevice([Identity("link")]).open(
        hello("link", machine(), reshaped("llama-2-70b", layers=4), 4, 2)
    )
    (one,), (other,) = striped.estimate([asked]), plain.estimate([asked])
    for op in ("transfer_down", "transfer_up"):
        assert op_cost(one, op).duration_ps.tolist() == op_cost(other, op).duration_ps.tolist()
        assert op_cost(one, op).energy_nj.tolist() == op_cost(other, op).energy_nj.tolist()


@pytest.mark.parametrize(
    ("context", "rounds", "differ"), [(191, 1, 1), (191, 2, 2), (192, 192, 1), (192, 193, 193)]
)
def test_rounds_are_told_apart_where_a_stripe_begins(context: int, rounds: int, differ: int) -> None:
    _, session = opened("llama-2-70b", 4)
    residents = [(0, 0, 0, context)]
    (answer,) = session.estimate([window(decoding(residents), residents=residents, rounds=rounds)])
    assert op_cost(answer, "transfer_down").duration_ps.shape == (4, 4, differ)
