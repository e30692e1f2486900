"""What modules hear of a window where GPUs attend beside them."""

import numpy as np

from l3sim.orchestrator.engine.for_modules import for_modules
from l3sim.testing.builders import small_layout
from l3sim.work import Chunk, KvPlacement, SubBatch, Window
from tests.orchestrator.small_jobs import numbers

#: Requests 0 to 9 are with the GPUs, others in modules.
GPU = small_layout().ranksets


def on_gpus(requests: np.ndarray) -> np.ndarray:
    found: np.ndarray = requests < 10
    return found


def test_nothing_of_requests_with_the_gpus() -> None:
    batches = (
        SubBatch(0, numbers([1, 11, 2]), numbers([5, 6, 7]), (Chunk(3, 8, 0, False), Chunk(13, 9, 0, True))),
        SubBatch(1, numbers([4]), numbers([5])),
    )
    places = (KvPlacement(3, GPU, 0), KvPlacement(13, 1, 0))
    window = Window(7, 0, 1, batches, places, (1, 20))
    heard = for_modules(window, on_gpus, [20])
    (part,) = heard.sub_batches
    assert (part.index, part.decode.tolist(), part.context.tolist()) == (0, [11], [6])
    assert part.chunks == (Chunk(13, 9, 0, True),)
    assert (heard.places, heard.releases, heard.rounds) == ((KvPlacement(13, 1, 0),), (20,), 1)


def test_kv_that_moves_is_a_chunk_of_the_first_sub_batch() -> None:
    window = Window(7, 0, 1, (SubBatch(1, numbers([4]), numbers([5])),), (KvPlacement(14, 1, 1, held=30),))
    move = Chunk(14, 30, 0, last=True)
    heard = for_modules(window, on_gpus, [], (move,))
    (part,) = heard.sub_batches
    assert (part.index, len(part.decode), part.chunks) == (1, 0, (move,))
    assert heard.places == (KvPlacement(14, 1, 1),)
