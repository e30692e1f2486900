"""The memory of a timeline: it grows without losing what waits, and copies are apart."""

import numpy as np
import pytest

from l3sim.errors import InvariantBroken
from l3sim.orchestrator.engine.timeline import memory_map as at
from l3sim.orchestrator.engine.timeline.base import Rules
from l3sim.orchestrator.engine.timeline.memory import Memory

RULES = Rules(layers=3, ranksets=2, overlap=True, half_duplex=True)


def entered(memory: Memory, rankset: int, batches: list[int]) -> None:
    """Put K tasks of these batches into a ring, beginning at its last place: they wrap around."""
    room = int(memory.m[at.ROOM])
    memory.m[at.HEADS + rankset] = room - 1
    for number, batch in enumerate(batches):
        memory.queues[rankset, (room - 1 + number) % room, at.BATCH] = batch
    memory.m[at.COUNTS + rankset] = len(batches)
    memory.m[at.KV_LEFT] += len(batches)


def waiting(memory: Memory, rankset: int) -> list[int]:
    """Batches of the K tasks in a ring, in order."""
    head, count = int(memory.m[at.HEADS + rankset]), int(memory.m[at.COUNTS + rankset])
    ring = memory.queues[rankset, :, at.BATCH]
    return [int(ring[(head + number) % len(ring)]) for number in range(count)]


def test_rings_and_batches_outlive_growth() -> None:
    memory = Memory(RULES)
    memory.reserve(waits=0, spans=0)
    entered(memory, 1, [4, 5, 6])
    memory.batches[:2, at.END] = [70, 80]
    memory.m[at.BATCHES] = 2
    room = int(memory.m[at.ROOM])
    while memory.m[at.ROOM] == room:  # more layers' K tasks than the ring has places
        memory.m[at.KV_LEFT] += 2 * RULES.layers
        memory.reserve(waits=9, spans=50)
    assert waiting(memory, 1) == [4, 5, 6]
    assert memory.batches[:2, at.END].tolist() == [70, 80]
    assert len(memory.waits) >= 9
    assert len(memory.spans) >= 50


def test_what_fits_is_left_where_it_is() -> None:
    memory = Memory(RULES)
    memory.reserve(waits=2, spans=5)
    m = memory.m
    memory.reserve(waits=1, spans=5)
    assert memory.m is m


def test_a_copy_is_equal_and_apart() -> None:
    memory = Memory(RULES)
    memory.reserve(waits=2, spans=5)
    entered(memory, 0, [1])
    twin = memory.copy()
    assert np.array_equal(twin.m, memory.m)
    twin.queues[:] = 0
    assert waiting(memory, 0) == [1]


@pytest.mark.parametrize("half_duplex", [False, True])
@pytest.mark.parametrize("overlap", [False, True])
def test_what_tasks_hold(overlap: bool, half_duplex: bool) -> None:
    memory = Memory(Rules(3, 2, overlap, half_duplex))
    needs = memory.m[at.NEEDS : at.HELD].reshape(at.KIND_MASK + 1, at.J_MASK + 1)
    bus = at.BUS_BIT if half_duplex else 0
    first, second = at.RANK_BIT, at.RANK_BIT << 1
    assert needs[at.B, 0] == needs[at.P, 0] == at.GPU_BIT
    assert needs[at.A, :2].tolist() == [first, second]
    moved = [first, second] if overlap else [first | second] * 2
    assert needs[at.D, :2].tolist() == needs[at.K, :2].tolist() == [at.DOWN_BIT | bus | one for one in moved]
    assert needs[at.U, :2].tolist() == [at.UP_BIT | bus | one for one in moved]


@pytest.mark.parametrize(("layers", "ranksets"), [(0, 1), (1, 0), (1, at.MAX_RANKSETS + 1)])
def test_rules_that_no_memory_is_for(layers: int, ranksets: int) -> None:
    with pytest.raises(InvariantBroken, match="needs layers >= 1 and ranksets 1 to 58"):
        Memory(Rules(layers, ranksets, overlap=True, half_duplex=True))
