"""Nothing is lost between dataclasses and messages, and nothing malformed gets through."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim import work
from l3sim.errors import InvalidInput, InvariantBroken
from l3sim.placement import Layout
from l3sim.specs.model import ModelShape
from l3sim.testing.builders import small_hello, small_layout, small_model
from l3sim.transport.convert import rounds as convert_rounds
from l3sim.transport.convert import session as convert
from l3sim.v1 import device_pb2 as pb
from tests.l3sim.transport.equal import same

U32 = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 2**32 - 1)
U63 = st.integers(0, 2**63 - 1)
U64 = st.integers(0, 2**64 - 1)
TEXT = st.text(max_size=8)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
BOOLS = st.booleans()
VALUES = st.none() | BOOLS | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
CONFIG = st.dictionaries(TEXT, VALUES, max_size=4)


def tuples(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


REGIONS = tuples(st.builds(work.MemoryRegion, TEXT, U64, U64))
DESCRIPTIONS = st.builds(
    work.DeviceDescription, TEXT, TEXT, TEXT, TEXT, TEXTS, TEXTS, REGIONS, U32, TEXTS, TEXT, TEXT, TEXT
)
READY = tuples(st.builds(work.DeviceReady, TEXT, TEXT, U32, TEXTS, REGIONS, CONFIG, U64))
COMMITS = tuples(st.builds(work.Commit, U64, U32))
COUNTERS = st.dictionaries(TEXT, st.integers(-(2**63), 2**63 - 1), max_size=3)
FIDELITY = st.builds(work.Fidelity, U64, U64, U64, U64)
ACCOUNTS = tuples(st.builds(work.Account, TEXT, U64, U64, tuples(U64), U64, COUNTERS, FIDELITY))
CHUNKS = tuples(st.builds(work.Chunk, U64, U64, U64, BOOLS))


@st.composite
def hellos(draw: st.DrawFn) -> work.Hello:
    layout = draw(st.builds(Layout, *[SIZES] * 10))
    layout = replace(layout, stripe_tokens=layout.kv_block_tokens * draw(st.sampled_from([0, 1, 7])))
    assignments = tuples(
        st.builds(
            work.RankAssignment, st.integers(0, layout.dp - 1), U32, st.integers(0, layout.ranks - 1), BOOLS
        )
    )
    slots = draw(
        st.lists(st.builds(work.SlotAssignment, TEXT, TEXT, CONFIG, assignments), min_size=1, max_size=3)
    )
    size = st.integers(1, 10**7)
    flags = ("gated", "biases", "qkv_biases", "norm_biases", "parallel_attention", "post_norms", "qk_norm")
    experts = draw(st.integers(0, 10**6))
    model = small_model(
        name=draw(TEXT),
        layers=draw(size),
        ffn=draw(size),
        experts=experts,
        experts_per_token=draw(st.integers(min(experts, 1), experts)),
        sliding_window=draw(size),
        max_positions=draw(size),
        **{flag: draw(BOOLS) for flag in flags},
    )
    return work.Hello(draw(U32), draw(TEXT), draw(U64), model, layout, tuple(slots))


@st.composite
def sub_batches(draw: st.DrawFn) -> work.SubBatch:
    pairs = draw(st.lists(st.tuples(U63, U63), max_size=5))
    arrays = np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)
    return work.SubBatch(draw(st.integers(0, 1)), arrays[:, 0], arrays[:, 1], draw(CHUNKS))


WINDOWS = st.builds(
    work.Window,
    U64,
    U32,
    SIZES,
    tuples(sub_batches()),
    tuples(st.builds(work.KvPlacement, U64, U32, U32, U64, U64)),
    tuples(U64),
    COMMITS,
)


@st.composite
def costs(draw: st.DrawFn) -> work.Costs:
    valid = draw(st.integers(1, 4))

    def block(*shape: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        count = int(np.prod(shape))
        values = draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=count, max_size=count))
        return np.array(values, dtype=np.int64).reshape(shape)

    def op_cost() -> work.OpCost:
        lanes = tuple(draw(st.lists(U32, max_size=3)))
        classes, rounds = draw(st.integers(1, 3)), draw(st.sampled_from([1, valid]))
        domain = tuple(draw(st.lists(U32, min_size=len(lanes), max_size=len(lanes))))
        duration = block(rounds, classes, len(lanes)).T  # not contiguous
        return work.OpCost(draw(TEXT), draw(U32), lanes, domain, duration, block(classes, rounds))

    op_costs = tuple(op_cost() for _ in range(draw(st.integers(0, 2))))
    return work.Costs(draw(U64), valid, op_costs, tuple(draw(st.lists(U64, max_size=3))))


def over_wire(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())


@given(DESCRIPTIONS)
def test_descriptions_survive(value: work.DeviceDescription) -> None:
    assert same(convert.description_from_proto(over_wire(convert.description_to_proto(value))), value)


@given(hellos())
def test_hellos_survive(value: work.Hello) -> None:
    assert convert.hello_from_proto(over_wire(convert.hello_to_proto(value))) == value


@given(READY)
def test_answers_to_hello_survive(value: tuple[work.DeviceReady, ...]) -> None:
    assert convert.ready_from_proto(over_wire(convert.ready_to_proto(value))) == value


@given(WINDOWS)
def test_windows_survive(value: work.Window) -> None:
    assert same(convert_rounds.window_from_proto(over_wire(convert_rounds.window_to_proto(value))), value)


@given(costs())
def test_costs_survive(value: work.Costs) -> None:
    assert same(convert_rounds.costs_from_proto(over_wire(convert_rounds.costs_to_proto(value))), value)


@given(COMMITS)
def test_commits_survive(value: tuple[work.Commit, ...]) -> None:
    message = over_wire(pb.Close(commits=convert_rounds.commits_to_proto(value)))
    assert convert_rounds.commits_from_proto(message.commits) == value


@given(ACCOUNTS)
def test_accounts_survive(value: tuple[work.Account, ...]) -> None:
    message = over_wire(pb.Accounts(accounts=convert.accounts_to_proto(value)))
    assert convert.accounts_from_proto(message.accounts) == value


@pytest.mark.parametrize(
    ("message", "known"),
    [
        (pb.DeviceDescription, work.DeviceDescription),
        (pb.MemoryRegion, work.MemoryRegion),
        (pb.Hello, work.Hello),
        (pb.Layout, Layout),
        (pb.RankAssignment, work.RankAssignment),
        (pb.Chunk, work.Chunk),
        (pb.Placement, work.KvPlacement),
        (pb.Commit, work.Commit),
        (pb.Costs, work.Costs),
        (pb.Account, work.Account),
        (pb.Window, work.Window),
    ],
)
def test_both_sides_have_the_same_fields(message: Any, known: Any) -> None:
    assert [field.name for field in message.DESCRIPTOR.fields] == [field.name for field in fields(known)]


def test_a_model_has_the_same_fields_on_both_sides() -> None:
    names = [field.name for field in pb.ModelShape.DESCRIPTOR.fields]
    assert names == list(ModelShape.__struct_fields__)


BLOCK = pb.OpCost(op="head", layer_classes=1, rounds=2, device=[0], domain=[0])
BLOCK.duration_ps = BLOCK.energy_nj = bytes(16)


def changed(message: Any, **changes: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    for name, value in changes.items():
        copy.ClearField(name)
        if isinstance(value, list):
            getattr(copy, name).extend(value)
        else:
            setattr(copy, name, value)
    return copy


def parse_cost(**changes: Any) -> work.Costs:
    cost = changed(BLOCK, **changes)
    return convert_rounds.costs_from_proto(pb.Costs(window_id=1, valid_rounds=2, costs=[cost]))


def parse_batch(**fields: Any) -> work.Window:
    return convert_rounds.window_from_proto(pb.Window(rounds=1, sub_batches=[pb.SubBatch(**fields)]))


def parse_hello(**changes: Any) -> work.Hello:
    return convert.hello_from_proto(changed(convert.hello_to_proto(small_hello()), **changes))


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (
            lambda: parse_cost(duration_ps=bytes(15)),
            "costs.duration_ps: head: must be 16 bytes for shape [1, 1, 2], got 15",
        ),
        (
            lambda: parse_cost(energy_nj=b""),
            "costs.energy_nj: head: must be 16 bytes for shape [1, 2], got 0",
        ),
        (lambda: parse_cost(domain=[]), "costs.domain: head: must be as long as device (1), got 0"),
        (lambda: parse_cost(layer_classes=0), "costs.layer_classes: head: must be at least 1, got 0"),
        (lambda: parse_cost(rounds=3), "costs.rounds: head: must be 1 or 2, got 3"),
        (
            lambda: parse_batch(decode_request=[2**63], context_tokens=[3]),
            "window.sub_batches.decode_request: must be below 2^63",
        ),
        (lambda: parse_hello(slots=[]), "slots: must name at least one device"),
        (
            lambda: parse_hello(slots=[pb.SlotAssignment(config_json="{")]),
            "slots[0].config_json: must be a JSON object, got '{'",
        ),
        (
            lambda: parse_hello(slots=[pb.SlotAssignment(config_json="[]")]),
            "slots[0].config_json: must be a JSON object, got '[]'",
        ),
        (
            lambda: parse_hello(
                slots=[pb.SlotAssignment(config_json="{}", assignments=[pb.RankAssignment(rank=9)])]
            ),
            "slots[0].assignments: replica 0, rank 9 lies outside the layout",
        ),
        (
            lambda: convert.hello_from_proto(pb.Hello()),
            "layout.tp: must be at least 1, got 0",
        ),
        (
            lambda: convert.layout_from_proto(
                changed(convert.layout_to_proto(small_layout(kv_block_tokens=10)), stripe_tokens=15)
            ),
            "layout.stripe_tokens: must be a multiple of kv_block_tokens (10), got 15",
        ),
        (
            lambda: convert.model_from_proto(pb.ModelShape(layers=1)),
            "model: heads must be 1 to 10,000,000, got 0",
        ),
    ],
)
def test_what_is_malformed_is_refused_by_name(parse: Callable[[], object], text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse()
    assert str(caught.value) == text


ONE = work.OpCost("head", 0, (0,), (0,), np.zeros((1, 1, 2), np.int64), np.zeros((1, 2), np.int64))


@pytest.mark.parametrize(
    "changes",
    [
        {"duration_ps": np.zeros((1, 1, 2))},
        {"duration_ps": np.zeros((1, 1), np.int64)},
        {"duration_ps": np.zeros((2, 1, 2), np.int64)},
        {"duration_ps": np.zeros((1, 1, 3), np.int64), "energy_nj": np.zeros((1, 3), np.int64)},
        {"duration_ps": np.zeros((1, 0, 2), np.int64), "energy_nj": np.zeros((0, 2), np.int64)},
        {"energy_nj": np.zeros((1, 1), np.int64)},
        {"energy_nj": np.zeros((1, 2), np.int32)},
        {"domain": ()},
    ],
)
def test_costs_of_the_wrong_shape_are_the_devices_bug(changes: dict[str, Any]) -> None:
    convert_rounds.costs_to_proto(work.Costs(1, 2, (ONE,)))
    with pytest.raises(InvariantBroken, match=r"^head has durations .* for 1 lanes and 2 rounds"):
        convert_rounds.costs_to_proto(work.Costs(1, 2, (replace(ONE, **changes),)))
