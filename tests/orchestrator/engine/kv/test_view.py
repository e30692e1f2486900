"""Scratch books: one view does not reach another, and placements go where bins are emptiest."""

import numpy as np

from l3sim.orchestrator.engine.kv.ledger import KvLedger
from l3sim.orchestrator.engine.kv.shape import KvShape
from l3sim.placement import DecodePlacement
from l3sim.testing.builders import small_layout, small_model
from l3sim.work import KvPlacement
from tests.orchestrator.engine.kv.test_ledger import ledger, table_of


def books(tokens: int = 60, **options: object) -> KvLedger:
    return ledger(tokens, **options)[0]  # type: ignore[arg-type]


def test_the_emptiest_bin_is_taken_and_ties_go_to_the_lowest() -> None:
    view = books(sharing="off").view()
    assert view.fits(10) == (0, 0)
    view.admit(10, 0, 0)
    assert view.fits(10) == (1, 0)
    view.admit(10, 1, 0)
    assert view.fits(10) == (0, 0)


def test_views_know_nothing_of_each_other() -> None:
    ours = books()
    first, second = ours.view(), ours.view()
    first.admit(10, 0, 0)
    assert not second.booked.any()
    assert not ours.booked_bytes().any()


def test_the_watermark_counts_from_the_second_resident_on() -> None:
    view = books(tokens=20, watermark=0.25).view()
    assert view.fits(16) is not None
    view.admit(6, 0, 0)
    assert (view.fits(9), view.fits(10)) == ((1, 0), None)


def test_what_does_not_fit_anywhere_is_none() -> None:
    view = books(tokens=10).view()
    # The next token's room is not asked for of the longest request.
    assert (view.fits(11), view.fits(12)) == ((0, 0), None)


def test_a_prefix_that_was_tried_is_shared_by_the_next() -> None:
    """Requests 0 and 1 share 8 blocks: with 14 tokens of room, only together."""
    view = books(tokens=14).view()
    view.admit(11, 0, 0, request=0)
    assert view.fits(11) is None
    assert view.fits(11, request=1) == (0, 0)
    view.admit(11, 0, 0, request=1)
    assert view.fits(11, request=2) is None


def test_a_view_sees_prefixes_of_residents() -> None:
    ours = books(tokens=14)
    ours.admit(KvPlacement(0, 0, 0))
    assert ours.view().fits(11, request=1) == (0, 0)
    assert ours.view().fits(11, request=2) is None


def test_gpu_memory_is_a_placement_of_its_own() -> None:
    """Token by token, less what has moved and is not down yet; never found unless asked for."""
    layout, model = small_layout(decode=DecodePlacement.BOTH), small_model()
    room = np.append(np.full(4, 10**6), 20 * model.kv_bytes_per_token)
    ledger = KvLedger(KvShape.of(layout, model, room), table_of([10, 10, 10], [5, 5, 5]), 0.0)
    view = ledger.view()
    assert view.fits(20) == (0, 0)
    assert (view.fits(20, on_gpus=True), view.fits(21, on_gpus=True)) == ((2, 0), None)
    view.admit(12, 2, 0)
    assert (view.fits(8, on_gpus=True), view.fits(9, on_gpus=True)) == ((2, 0), None)
    ledger.leaving_bytes = 15 * model.kv_bytes_per_token
    assert ledger.view().fits(6, on_gpus=True) is None
    assert view.most_tokens > 20


def test_where_no_gpu_attends_beside_ranks_there_is_no_such_placement() -> None:
    layout, model = small_layout(), small_model()
    ledger = KvLedger(KvShape.of(layout, model, np.full(4, 10**6)), table_of([10], [5]), 0.0)
    assert ledger.view().fits(1, on_gpus=True) is None
