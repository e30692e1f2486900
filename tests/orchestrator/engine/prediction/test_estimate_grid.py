"""The estimate grid, asked of real device models: what the predictor says is what they answer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from l3sim.device import Identity
from l3sim.orchestrator.engine.prediction.estimate_grid import (
    CONTEXTS,
    FINISHED,
    TOKENS,
    GridAnswers,
    grid_of,
    tables_of,
)
from l3sim.orchestrator.engine.prediction.predictor import Tables
from l3sim.placement import Layout
from l3sim.ports import DeviceSession
from l3sim.rank_map import RankMap
from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.services.gpu.device import GpuDevice
from l3sim.services.interconnect.device import InterconnectDevice
from l3sim.work import Chunk, KvPlacement, Op, SubBatch, Window
from tests.orchestrator.small_jobs import numbers
from tests.services.builders import hello, machine, op_cost


class Bench:
    """The devices of `l3-mini`, and the predictor made of their answers."""

    def __init__(self, model: str, overrides: Mapping[str, Any] | None = None, **settings: Any) -> None:
        on = machine("l3-mini", **settings)
        asked = {role: hello(role, on, model, 1, modules=range(4)) for role in ("gpu", "attention", "link")}
        self.layout: Layout = asked["gpu"].layout
        modules = [Identity(f"d{m}", overrides=overrides or {} if m == 3 else {}) for m in range(4)]
        self.sessions: dict[str, DeviceSession] = {
            "gpu": GpuDevice([Identity("gpu")]).open(asked["gpu"]),
            "attention": DimmPimDevice(modules).open(asked["attention"]),
            "link": InterconnectDevice([Identity("link")]).open(asked["link"]),
        }
        grid, ranks = grid_of(self.layout, 0), RankMap.of(asked["attention"], 0)
        found = {role: session.estimate(grid.of(role)) for role, session in self.sessions.items()}
        answers = GridAnswers(found["gpu"], [(ranks, found["attention"])], found["link"])
        self.predictor: Tables = tables_of(self.layout, answers)

    def ask(self, role: str, batch: SubBatch, places: list[KvPlacement]) -> Any:
        return self.sessions[role].estimate([Window(0, 0, 1, (batch,), tuple(places))])[0]


@pytest.fixture(scope="module", params=["llama-2-7b", "llama-2-70b"])
def bench(request: pytest.FixtureRequest) -> Bench:
    # 80 GB do not hold the larger model, but models of costs do not mind.
    return Bench(request.param)


def test_gpu_tables_are_what_the_gpu_answers(bench: Bench) -> None:
    for c, tokens in enumerate(TOKENS):
        for f, finished in enumerate(FINISHED):
            batch = SubBatch(0, numbers([]), numbers([]), (Chunk(0, tokens, finished, last=True),))
            answer = bench.ask("gpu", batch, [KvPlacement(0, 0, 0)])
            took = {op: int(op_cost(answer, op).duration_ps[0, 0, 0]) for op in (Op.BLOCK_IN, Op.BLOCK_OUT)}
            assert bench.predictor.fc_ps[c] == sum(took.values())
            assert bench.predictor.chunk_ps[c, f] == op_cost(answer, Op.ATTEND_PREFILL).duration_ps[0, 0, 0]


@pytest.mark.parametrize("tokens", [1, 256, 3000, 32_768, 200_000])
def test_attention_of_a_group_is_that_of_a_rank(bench: Bench, tokens: int) -> None:
    batch = SubBatch(0, numbers([0]), numbers([tokens - 1]))
    answer = bench.ask("attention", batch, [KvPlacement(0, 0, 0)])
    slowest = int(op_cost(answer, Op.ATTEND_DECODE).duration_ps.max())
    groups = int(bench.layout.group_counts[0].max())
    # Between grid points rows and banks round up, which a line does not follow exactly.
    expected = pytest.approx(slowest / groups, rel=0 if tokens in CONTEXTS else 0.02)
    assert bench.predictor.attend_group_ps(numbers([tokens]))[0] == expected


@pytest.mark.parametrize("model", ["llama-2-7b", "llama-2-70b"])
@pytest.mark.parametrize("tokens", [1, 256, 512, 1024, 8192, 65_536])
def test_attention_of_a_striped_request_is_that_of_its_slowest_rank(model: str, tokens: int) -> None:
    """`l3-mini` has two ranks a rankset."""
    striped = Bench(model, attention__partition="block", attention__stripe_tokens=512)
    layout = striped.layout
    batch = SubBatch(0, numbers([0]), numbers([tokens - 1]))
    answer = striped.ask("attention", batch, [KvPlacement(0, 0, 1)])
    slowest = int(op_cost(answer, Op.ATTEND_DECODE).duration_ps.max())
    loads = np.zeros(layout.ranks)
    for step, each in enumerate(striped.predictor.attend_ps(layout, numbers([tokens]))[0]):
        loads += layout.group_counts[(1 + step) % layout.ranks] * each
    # Up to a stripe, what is tabled writes a new token, which is on one rank only.
    assert loads.max() == pytest.approx(slowest, rel=0.07)
    assert abs(striped.predictor.pace - 1.0).max() < 0.01


@pytest.mark.parametrize("each", [1, 3, 10])
def test_transfers_of_requests_spread_evenly(bench: Bench, each: int) -> None:
    """Requests at every (offset, rank): all transfers of a layer, one after the other."""
    layout = bench.layout
    places = [(o, b) for o in range(layout.ranksets) for b in range(layout.ranks)] * each
    batch = SubBatch(0, np.arange(len(places)), np.full(len(places), 100))
    answer = bench.ask("link", batch, [KvPlacement(number, *place) for number, place in enumerate(places)])
    took = sum(
        int(op_cost(answer, op).duration_ps[:, 0, 0].sum()) for op in (Op.TRANSFER_DOWN, Op.TRANSFER_UP)
    )
    fixed, slope, _, _ = bench.predictor.comm
    assert fixed + slope * len(places) == pytest.approx(took, rel=1e-5)


@pytest.mark.parametrize("tokens", [64, 1000, 4096])
def test_transfers_of_chunks(bench: Bench, tokens: int) -> None:
    batch = SubBatch(0, numbers([]), numbers([]), (Chunk(0, tokens, 0, last=True),))
    took = int(op_cost(bench.ask("link", batch, [KvPlacement(0, 0, 0)]), Op.TRANSFER_KV).duration_ps.max())
    fixed, slope = bench.predictor.comm[2:]
    assert fixed + slope * tokens == pytest.approx(took, rel=1e-5)


def test_ranks_of_one_kind_keep_one_pace(bench: Bench) -> None:
    assert (bench.predictor.pace == 1.0).all()
    assert bench.predictor.pace.shape == (bench.layout.ranksets, bench.layout.ranks)


def test_a_slow_module_shows_in_its_own_ranks() -> None:
    even = Bench("llama-2-7b").predictor
    slow = Bench("llama-2-7b", {"ccd_l_tck": 16}).predictor
    # Module 3 is channel 1, slot 1: rank 1 of ranksets 2 and 3.
    expected = np.ones((4, 2))
    expected[2:, 1] = slow.pace[2, 1]
    assert (slow.pace == expected).all()
    assert 1.5 < slow.pace[2, 1] < 2.0
    assert (slow.group_ps == even.group_ps).all()


def test_every_first_rank_is_asked_where_groups_are_few() -> None:
    few = Bench("llama-2-70b", {"ccd_l_tck": 16}, attention__n_hc=1)
    assert few.layout.groups < few.layout.ranks
    assert len(grid_of(few.layout, 0).attention) == few.layout.ranks * len(CONTEXTS)
    assert few.predictor.pace[2:, 1].min() > 1.0
    assert (few.predictor.pace[:, 0] == 1.0).all()
