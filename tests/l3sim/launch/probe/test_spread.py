"""Requests are spread as the engine spreads them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.errors import InvalidInput
from l3sim.launch.probe.attention import busy_ranks, tokens_of
from l3sim.launch.probe.spread import places_of, spread
from l3sim.orchestrator.engine.kv.prefix import PrefixSharing
from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.orchestrator.engine.kv.view import KvView
from l3sim.placement import Layout, kv_room_bytes, layout_of
from l3sim.specs.catalog import load_machine, load_model
from l3sim.specs.machine import Machine
from l3sim.specs.model import ModelShape

MODELS = ("gpt-175b", "opt-66b", "qwen-72b", "llama-2-70b", "llama-2-7b")


def engine(
    layout: Layout, model: ModelShape, room: int, requests: int, tokens: int, watermark: float = 0.0
) -> list[tuple[int, int]]:
    """Where the engine's ledger admits equal requests, one by one."""
    ranks = layout.ranksets * layout.ranks
    shape = KvShape.of(layout, model, np.full(ranks, room, dtype=np.int64))
    bins = np.zeros((layout.ranksets, layout.ranks), dtype=np.int64)
    nothing = np.zeros(ranks, dtype=np.int64)
    none = PrefixSharing(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), longest=False)
    view = KvView(shape, none, nothing.copy(), bins, 0, lambda _: nothing, shape.limit_bytes(watermark), 0)
    places: list[tuple[int, int]] = []
    while len(places) < requests and (place := view.fits(tokens)) is not None:
        view.admit(tokens, *place)
        places.append(place)
    return places


def machine_with(**settings: object) -> Machine:
    chosen = [(f"attention.{key}", value) for key, value in settings.items() if value is not None]
    return load_machine("l3-dgx-a100").with_settings(chosen)


@given(
    name=st.sampled_from(MODELS),
    dp=st.sampled_from([1, 2, 4, 8]),
    ranksets=st.sampled_from([None, 1, 2]),
    n_hc=st.sampled_from([None, 1, 2, 8]),
    requests=st.integers(1, 80),
    tokens=st.integers(1, 40_000),
    share=st.floats(0.01, 1.0),
    layers=st.integers(1, 9),
    partition=st.sampled_from(["head", "block"]),
)
def test_it_is_the_placement_of_the_engine(
    name: str,
    dp: int,
    ranksets: int | None,
    n_hc: int | None,
    requests: int,
    tokens: int,
    share: float,
    layers: int,
    partition: str,
) -> None:
    # Layers that are no multiple of the ranksets fill ranks unevenly, so that room decides as well.
    shape = load_model(name)
    model = ModelShape(
        **{field: getattr(shape, field) for field in shape.__struct_fields__} | {"layers": layers}
    )
    machine = machine_with(
        ranksets=ranksets, n_hc=n_hc, memory_share=share * layers / 2000, partition=partition
    )
    layout = layout_of(machine.attention, model, 1, dp)
    room = kv_room_bytes(machine.attention, layout, model)
    found = places_of(layout, model, room, requests, tokens)
    expected = engine(layout, model, room, requests, tokens)
    if KvShape.of(layout, model, np.full(layout.ranksets * layout.ranks, room)).fit_tokens.max() < tokens:
        expected = []  # the engine books a token less for the longest request there is
    assert found == expected


@pytest.mark.parametrize("name", MODELS)
def test_the_watermark_changes_nothing_while_there_is_room(name: str) -> None:
    machine, model = machine_with(), load_model(name)
    layout = layout_of(machine.attention, model, 1, 8)
    room = kv_room_bytes(machine.attention, layout, model)
    assert places_of(layout, model, room, 20, 64) == engine(layout, model, room, 20, 64, 0.05)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("requests", [1, 7, 32])
def test_every_group_lies_somewhere_and_replicas_take_turns(name: str, requests: int) -> None:
    machine, model = machine_with(), load_model(name)
    layout = layout_of(machine.attention, model, 2, 4)
    groups = spread(machine, model, layout, requests, 100)
    assert groups.shape == (4, 4, 4, 1)
    of_replica = [len(range(replica, requests, 4)) * layout.groups for replica in range(4)]
    assert groups.sum(axis=(1, 2, 3)).tolist() == of_replica


def test_stripes_lie_on_every_rank_that_has_some() -> None:
    """Of 8 replicas, one has a request of 2,500 tokens: stripes 0, 2, 4 on a rank, 1 and 3 on the other."""
    machine, model = (
        machine_with(partition="block", stripe_tokens=512, kv_block_tokens=64),
        load_model("qwen-72b"),
    )
    layout = layout_of(machine.attention, model, 1, 8)
    groups = spread(machine, model, layout, 1, 2500)
    assert (groups.shape, groups.sum()) == ((8, 4, 2, 2), 2)
    assert groups[0, 0].tolist() == [[1, 0], [0, 1]]
    found = [tokens_of(layout, load, 2500) for load in busy_ranks(groups)]
    assert [(tokens.tolist(), appends) for tokens, appends in found] == [([1476], [True]), ([1024], [False])]


def test_what_does_not_fit_is_refused_with_what_would() -> None:
    machine, model = machine_with(), load_model("gpt-175b")
    layout = layout_of(machine.attention, model, 8, 1)
    fit = 2**41 // (4_718_592 * 8192)  # 8,192 tokens are whole blocks
    assert spread(machine, model, layout, fit, 8192).sum() == fit * 96
    text = f"^--context: {fit + 1} requests of 8192 tokens do not fit the memory of l3-dgx-a100, which "
    with pytest.raises(InvalidInput, match=f"{text}holds {fit}; lower --batch or --context$"):
        spread(machine, model, layout, fit + 1, 8192)
    with pytest.raises(InvalidInput, match=r"holds 0; lower --context$"):
        spread(machine, model, layout, 1, 10**6)
