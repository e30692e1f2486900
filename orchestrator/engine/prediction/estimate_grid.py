"""The estimate grid: windows that never happen, asked once a session, and the tables made of the answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l3sim.orchestrator.engine.prediction.predictor import Tables
from l3sim.placement import Layout
from l3sim.rank_map import RankMap
from l3sim.units import Floats, Int64s
from l3sim.work import NO_REQUESTS, Chunk, Costs, KvPlacement, Op, OpCost, Role, SubBatch, Window

#: Tokens of the fully connected layers and of a chunk.
TOKENS = (1, 8, 32, 64, 128, 256, 512, 1024, 2048, 4096)
#: Tokens that were prefilled before a chunk.
FINISHED = (0, 4096, 32_768, 131_072)
#: Requests that decode on GPUs beside modules.
COUNTS = (1, 8, 64, 512)
#: Tokens that a decoding request attends.
CONTEXTS = (1, 256, 4096, 32_768, 131_072)


@dataclass(frozen=True)
class Grid:
    """Windows to ask each role, for one replica."""

    gpu: tuple[Window, ...]  # the last of them decode beside modules, where the layout has that
    attention: tuple[Window, ...]
    link: tuple[Window, ...]

    def of(self, role: str) -> tuple[Window, ...]:
        """The windows of one role."""
        return {Role.GPU: self.gpu, Role.ATTENTION: self.attention, Role.LINK: self.link}[Role(role)]


def grid_of(layout: Layout, replica: int) -> Grid:
    """The grid for a layout."""
    gpu = [chunk_window(replica, (tokens, finished)) for finished in FINISHED for tokens in TOKENS]
    if layout.gpu_place is not None:
        gpu += [beside_window(replica, layout, count, held) for count in COUNTS for held in CONTEXTS]
    first_ranks = range(1 if layout.groups >= layout.ranks else layout.ranks)
    attention = [
        decode_window(replica, [(everywhere(layout, context) - 1, rank)])
        for rank in first_ranks
        for context in contexts_of(layout)
    ]
    spread = [(0, rank) for rank in range(layout.ranks)]
    link = [decode_window(replica, spread), decode_window(replica, spread * 4)]
    link += [chunk_window(replica, (256, 0)), chunk_window(replica, (2048, 0))]
    return Grid(tuple(gpu), tuple(attention), tuple(link))


def contexts_of(layout: Layout) -> list[int]:
    """Tokens that a head group attends on a rank: where KV is striped a stripe, and beyond it whole ones."""
    stripe = layout.stripe_tokens
    if not stripe:
        return list(CONTEXTS)
    return sorted({stripe, *(one if one <= stripe else -(-one // stripe) * stripe for one in CONTEXTS)})


def everywhere(layout: Layout, tokens: int) -> int:
    """Tokens of a request of which a head group has so many on each rank that it lies on."""
    return tokens * layout.ranks if spreads(layout, tokens) else tokens


def spreads(layout: Layout, tokens: int) -> bool:
    """Whether a head group of which a rank has so many tokens has some on all others as well."""
    return layout.striped and tokens > layout.stripe_tokens


def chunk_window(replica: int, *chunks: tuple[int, int]) -> Window:
    """Chunks of (tokens, finished tokens before them), all in one pass."""
    numbered = [Chunk(number, *chunk, last=False) for number, chunk in enumerate(chunks)]
    places = tuple(KvPlacement(chunk.request, 0, 0) for chunk in numbered)
    return Window(0, replica, 1, (SubBatch(0, NO_REQUESTS, NO_REQUESTS, tuple(numbered)),), places)


def decode_window(replica: int, requests: Sequence[tuple[int, int]]) -> Window:
    """Decoding requests of (context, first rank), all of offset 0."""
    count = len(requests)
    context = np.array([context for context, _ in requests], dtype=np.int64)
    batch = SubBatch(0, np.arange(count, dtype=np.int64), context)
    places = tuple(KvPlacement(number, 0, rank) for number, (_, rank) in enumerate(requests))
    return Window(0, replica, 1, (batch,), places)


def beside_window(replica: int, layout: Layout, count: int, context: int) -> Window:
    """So many requests that decode on the GPUs beside modules, and attend so many tokens each."""
    held = np.full(count, context - 1, dtype=np.int64)
    batch = SubBatch(0, np.arange(count, dtype=np.int64), held)
    places = tuple(KvPlacement(number, layout.ranksets, 0) for number in range(count))
    return Window(0, replica, 1, (batch,), places)


def attends(answer: Costs) -> list[OpCost]:
    """What decode attention costs in an answer."""
    return [cost for cost in answer.costs if cost.op == Op.ATTEND_DECODE]


@dataclass(frozen=True)
class GridAnswers:
    """What devices answered to the windows of a Grid.

    Attributes:
        gpu, link: answers to `Grid.gpu` and `Grid.link`.
        attention: of each address, its ranks and its answers to `Grid.attention`. Those of GPUs that attend
            cost the whole pass.
    """

    gpu: Sequence[Costs] = ()
    attention: Sequence[tuple[RankMap, Sequence[Costs]]] = ()
    link: Sequence[Costs] = ()


def tables_of(layout: Layout, answers: GridAnswers) -> Tables:
    """Make tables of the answers to `grid_of(layout, ...)`."""
    maker = _TableMaker(layout)
    maker.add_gpu(answers.gpu)
    for ranks, some in answers.attention:
        maker.add_attention(some, ranks)
    maker.add_link(answers.link)
    return maker.tables()


class _TableMaker:
    """Collects the answers and makes Tables of them."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        shape = (layout.ranksets * layout.ranks, len(contexts_of(layout)))
        self._rank_ps: Floats = np.zeros(shape)
        self._fc_ps: Floats = np.zeros(len(TOKENS))
        self._chunk_ps: Floats = np.zeros((len(TOKENS), len(FINISHED)))
        self._beside_ps: Floats = np.zeros((len(COUNTS), len(CONTEXTS)))
        self._link: list[float] = []

    def add_gpu(self, answers: Sequence[Costs]) -> None:
        """Answers to Grid.gpu."""
        dense = len(TOKENS) * len(FINISHED)
        for number, answer in enumerate(answers[dense:]):
            (cost,) = attends(answer)
            self._beside_ps[divmod(number, len(CONTEXTS))] = float(cost.duration_ps[0, 0, 0])
        for number, answer in enumerate(answers[:dense]):
            finished, tokens = divmod(number, len(TOKENS))
            found = {cost.op: float(cost.duration_ps[0, 0, 0]) for cost in answer.costs}
            self._chunk_ps[tokens, finished] = found[Op.ATTEND_PREFILL]
            self._fc_ps[tokens] = found[Op.BLOCK_IN] + found[Op.BLOCK_OUT]

    def add_attention(self, answers: Sequence[Costs], ranks: RankMap) -> None:
        """Answers to Grid.attention of one port, whose ranks these are."""
        layout, contexts = self._layout, contexts_of(self._layout)
        for number, answer in enumerate(answers):
            first, context = divmod(number, len(contexts))
            for cost in attends(answer):
                slowest = cost.duration_ps[:, :, 0].max(axis=1)
                for lane, pair in enumerate(zip(cost.device, cost.domain, strict=True)):
                    rank = ranks.flat[pair] % layout.ranks
                    count = int(layout.group_counts[first, rank])
                    if spreads(layout, contexts[context]):
                        count = layout.groups
                        if layout.groups < layout.ranks and (rank - first + 1) % layout.ranks < layout.groups:
                            continue  # it writes the new token, which no other rank does
                    if count and slowest[lane]:
                        self._rank_ps[ranks.flat[pair], context] = float(slowest[lane]) / count

    def add_link(self, answers: Sequence[Costs]) -> None:
        """Answers to Grid.link."""
        for answer in answers:
            self._link.append(float(sum(int(cost.duration_ps.max()) for cost in answer.costs)))

    def tables(self) -> Tables:
        """The tables."""
        layout = self._layout
        contexts: Int64s = np.array(contexts_of(layout))
        reference = self._rank_ps[:, int(np.searchsorted(contexts, 4096))]
        usual = int(np.argsort(reference, kind="stable")[len(reference) // 2])
        pace = (reference / reference[usual]).reshape(layout.ranksets, layout.ranks)
        # GPUs that attend ask no link.
        few, many, small, large = self._link or [0.0] * 4
        count = layout.ranks
        slope = (many - few) / (3 * count)
        chunk_slope = (large - small) / (2048 - 256)
        fixed = layout.ranksets * max(few - slope * count, 0.0)
        comm = np.array([fixed, slope, max(small - 256 * chunk_slope, 0.0), chunk_slope])
        return Tables(
            fc_grid=np.array(TOKENS, dtype=np.float64),
            fc_ps=self._fc_ps,
            chunk_grid=np.array(TOKENS, dtype=np.float64),
            finished_grid=np.array(FINISHED, dtype=np.float64),
            chunk_ps=self._chunk_ps,
            context_grid=contexts.astype(np.float64),
            group_ps=self._rank_ps[usual],
            pace=pace,
            comm=comm,
            count_grid=np.array(COUNTS, dtype=np.float64),
            beside_ps=self._beside_ps,
        )
