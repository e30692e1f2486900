"""Compiles, or loads from numba's cache, all that a job will call; and loads who trains its predictors.

The first time takes ten seconds or more; with a cache it takes well under one. Done before a job's
sessions open, in a thread, so that nobody waits for it inside a window.
"""

import threading

import numpy as np

from l3sim.orchestrator.engine.costs.kernels import GPU_OPS, complete, enter_attention, enter_blocks
from l3sim.orchestrator.engine.kv.kernels import (
    best_place,
    bins_of,
    blocks_at,
    booked_tokens,
    bytes_of,
    rounds_of_room,
    sum_at,
)
from l3sim.orchestrator.engine.planning.decisions import first_round
from l3sim.orchestrator.engine.policies.partition import (
    Beside,
    LastChunk,
    align_chunks,
    fullest_ranks,
    partition_aligned,
    partition_all,
    partition_lighter,
)
from l3sim.orchestrator.engine.prediction.learning.forest import Forest, train
from l3sim.orchestrator.engine.prediction.learning.linear import fit
from l3sim.orchestrator.engine.prediction.learning.samples import (
    NO_MEMBERS,
    WIDTH,
    kept_of,
    note_rounds,
    slowest_rank,
)
from l3sim.orchestrator.engine.prediction.predictor import line_at, plane_at
from l3sim.orchestrator.engine.timeline import TIMELINES, RoundCosts, Rules
from l3sim.orchestrator.engine.timeline.base import PARTS
from l3sim.orchestrator.engine.tokens import advance

_lock = threading.Lock()
_done = threading.Event()


def warm(trains: bool) -> None:
    """Compile once a process; later calls return at once.

    Args:
        trains: whether predictors will be trained: then scikit-learn is loaded too, which takes a second.
    """
    with _lock:
        if not _done.is_set():
            _timelines()
            _costs()
            _books()
            _policies()
            _learning()
            _done.set()
        if trains:
            train(np.ones((1, 2)), np.ones(1), 0, trees=1)


def _timelines() -> None:
    """One round of one layer on one rankset, by every layer program."""
    costs = RoundCosts.nothing(1, 1)
    costs.rows[:] = 1
    for name in TIMELINES:
        timeline = TIMELINES.get(name)(Rules(1, 1, overlap=True, half_duplex=True))
        timeline.simulate(costs, 1, 2, [])
        timeline.drain(1000)
    first_round(costs.rows, PARTS, 1, 2)


def _costs() -> None:
    """One round of one rank."""
    costs, one = RoundCosts.nothing(1, 1), np.ones(2, dtype=np.int64)
    gpu = np.ones((len(GPU_OPS), 2, 1), dtype=np.int64)
    enter_blocks(costs.rows, PARTS, gpu)
    enter_attention(costs.rows, PARTS, np.ones((2, 1, 1, 1), dtype=np.int64), 1, one[:1])
    complete(costs.rows, PARTS, gpu, 1, one, one, one, False)
    advance(one[:1] - 1, one, one, one, one, one)


def _books() -> None:
    """One request that decodes, on one rank."""
    one, square = np.ones(1, dtype=np.int64), np.ones((1, 1), dtype=np.int64)
    who, phase = one - 1, np.zeros(1, dtype=np.int8)
    booking = (0, 0, phase, one, one, one)
    booked_tokens(who, who, 0, *booking)
    sum_at(who, one, 1)
    bytes_of(blocks_at(who, one, 1, 1), square)
    bins_of(who, one, square, 1)
    rounds_of_room(1, who, who, *booking, 1, one, one, square)
    best_place(1, 0, one, False, one, one, square, one, square, square, square, 1)


def _policies() -> None:
    """One request on one rank."""
    who, cost = np.zeros(1, dtype=np.int64), np.ones(1)
    groups, pace = np.ones((1, 1), dtype=np.int64), np.ones((1, 1))
    two, grid, lines = np.zeros(2), np.array([1.0, 2.0]), np.zeros((2, 2))
    placed = (who, cost, groups, pace, Beside(2, 1.0, two, lines, two, two))
    partition_lighter(who)
    partition_all(*placed)
    side, _, _ = partition_aligned(*placed, 1)
    fullest_ranks(who, cost, side, groups, pace)
    last = LastChunk(who, cost, cost, cost)
    align_chunks(two, 2, 1.0, last, last)
    line_at(grid, grid, who)
    plane_at(grid, grid, np.ones((2, 2)), who, who)


def _learning() -> None:
    """A tree that is a leaf, a line through nothing, and one round of one rank."""
    one, value = np.zeros(1, dtype=np.int64), np.zeros(1)
    forest = Forest(one, one - 1, one - 1, one, value, value)
    forest.at(one, one)
    forest.line(0, 1)
    fit(value, value, value)
    kept_of(value, 0, 1)
    slowest_rank(one, one, np.ones((1, 1), dtype=np.int64), np.ones((1, 1)), one)
    costs = RoundCosts.nothing(1, 1)
    member, kept, groups = (1, 1, one, one), np.zeros((1, 1 + 2 * WIDTH)), one[None] + 1
    note_rounds(
        kept, one, one, 0, (member, NO_MEMBERS), costs.rows, PARTS, 1, one, one, groups, np.ones((1, 1))
    )
