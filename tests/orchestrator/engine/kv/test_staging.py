"""GPU memory beside the weights: booked whole, freed when the last of it is down."""

import pytest

from l3sim.orchestrator.engine.kv.staging import GpuMemory

#: Room for 10 tokens of 4 layers of 5 bytes each.
ROOM, TOKEN, LAYER = 200, 20, 5


@pytest.fixture
def memory() -> GpuMemory:
    return GpuMemory(ROOM, TOKEN, LAYER)


@pytest.mark.parametrize(("tokens", "booking"), [(10, (200, False)), (11, (55, True)), (40, (200, True))])
def test_what_has_no_room_when_empty_books_one_layer(
    memory: GpuMemory, tokens: int, booking: tuple[int, bool]
) -> None:
    assert memory.booking(tokens) == booking


def test_booking_depends_on_the_empty_gpu_not_on_what_is_free(memory: GpuMemory) -> None:
    memory.book(0, 9)
    assert memory.free_bytes == 20
    assert memory.booking(10) == (200, False)


def test_freed_when_closed_and_every_batch_has_ended(memory: GpuMemory) -> None:
    ends = {7: -1, 8: 500}
    memory.book(0, 6)
    memory.add_batch(0, 7)
    memory.add_batch(0, 8)
    assert not memory.release(ends.__getitem__)
    assert not memory.waits
    memory.close(0)
    assert memory.waits
    assert not memory.release(ends.__getitem__)
    assert memory.free_bytes == ROOM - 120
    ends[7] = 900
    assert memory.release(ends.__getitem__)
    assert memory.free_bytes == ROOM
    assert not memory.waits
    assert not memory.release(ends.__getitem__)


def test_an_open_prompt_keeps_its_booking_when_its_chunks_are_down(memory: GpuMemory) -> None:
    memory.book(0, 6)
    memory.add_batch(0, 1)
    assert not memory.release(lambda _: 100)
    assert memory.free_bytes == ROOM - 120


def test_a_request_may_come_back_while_its_dropped_kv_is_on_its_way(memory: GpuMemory) -> None:
    memory.book(0, 4)
    memory.add_batch(0, 1)
    memory.close(0)
    memory.book(0, 5)
    assert memory.free_bytes == ROOM - 80 - 100
    memory.close(0)
    # The second booking has put nothing on its way.
    assert memory.release(lambda _: -1)
    assert memory.free_bytes == ROOM - 80


def test_closing_who_booked_nothing_is_nothing(memory: GpuMemory) -> None:
    memory.close(3)
    assert not memory.waits
