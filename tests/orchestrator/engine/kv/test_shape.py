"""What a layout makes of a replica's memory, by hand."""

import numpy as np
import pytest

from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.testing.builders import small_layout, small_model
from tests.orchestrator.small_jobs import numbers


def shape_of(room: list[int], layers: int = 4, **layout: int) -> KvShape:
    return KvShape.of(small_layout(**layout), small_model(layers=layers), numbers(room))


def test_a_placement_puts_every_layer_and_head_group_somewhere() -> None:
    shape = shape_of([1000] * 4)
    layout = shape.layout
    assert shape.pieces.shape == (4, 4)
    assert (shape.pieces.sum(axis=1) == 4 * layout.groups).all()
    assert (shape.block_bytes == shape.pieces * layout.block_bytes(small_model())).all()
    assert (shape.groups.sum(axis=1) == layout.groups).all()


def test_the_smallest_rank_of_a_placement_bounds_a_request() -> None:
    """Two ranksets of one rank: four layers lie evenly, two on each, so both ranks bound every request."""
    block = shape_of([1, 1], ranks=1).block_bytes[0, 0]
    shape = shape_of([10 * block, 7 * block + 1], ranks=1)
    assert shape.fit_tokens.tolist() == [7, 7]
    # One layer lies on the rankset of its offset alone.
    block = shape_of([1, 1], layers=1, ranks=1).block_bytes[0, 0]
    assert shape_of([10 * block, 7 * block], layers=1, ranks=1).fit_tokens.tolist() == [10, 7]


def test_requests_fit_in_whole_blocks() -> None:
    block = shape_of([1, 1], ranks=1, kv_block_tokens=16).block_bytes[0, 0]
    assert shape_of([3 * block - 1] * 2, ranks=1, kv_block_tokens=16).fit_tokens.tolist() == [32, 32]


@pytest.mark.parametrize(("watermark", "limits"), [(0.0, [1000, 7]), (0.05, [950, 6]), (1.0, [0, 0])])
def test_what_stays_free_is_rounded_up(watermark: float, limits: list[int]) -> None:
    found = shape_of([1000, 7], ranks=1).limit_bytes(watermark)
    assert found.tolist() == limits
    assert found.dtype == np.int64
