"""Every answer's books against the ledger: each rank by its name."""

from dataclasses import replace

import pytest

from l3sim.orchestrator.engine.reconcile import Reconciliation
from l3sim.testing.builders import small_hello
from l3sim.work import Account, Costs, Hello, RankAssignment
from tests.orchestrator.small_jobs import numbers

#: Ranks count as rankset * ranks + rank; device i sits on rank i of both ranksets.
BOTH = small_hello(("a", "b"), ("dimm-00", "dimm-01"))
GPU = replace(BOTH, slots=(replace(BOTH.slots[0], slot="gpu", assignments=()),))


def told(*held: int) -> Costs:
    return Costs(3, 1, (), held)


def reconciliation(*hellos: Hello) -> Reconciliation:
    return Reconciliation(0, hellos)


@pytest.mark.parametrize(
    ("expected", "wrong"),
    [
        ([10, 30, 20, 40], []),
        ([10, 30, 20, 41], ["dimm-01 rank 1 holds 40 bytes, the ledger says 41"]),
        (
            [11, 30, 21, 40],
            [
                "dimm-00 rank 0 holds 10 bytes, the ledger says 11",
                "dimm-00 rank 1 holds 20 bytes, the ledger says 21",
            ],
        ),
    ],
)
def test_ranks_that_differ_are_named(expected: list[int], wrong: list[str]) -> None:
    books = reconciliation(GPU, BOTH)
    assert books.differences([told(), told(10, 20, 30, 40)], numbers(expected)) == wrong


def test_only_the_ranks_of_the_replica_count() -> None:
    slot = replace(BOTH.slots[0], assignments=(RankAssignment(0, 0, 0), RankAssignment(0, 1, 0, unused=True)))
    other = replace(BOTH.slots[1], assignments=(RankAssignment(1, 0, 0), RankAssignment(1, 1, 0)))
    books = reconciliation(replace(BOTH, slots=(slot, other)))
    assert books.differences([told(5, 99, 99, 99)], numbers([5, 0, 0, 0])) == []


@pytest.mark.parametrize("held", [(), (1, 2, 3)])
def test_an_answer_without_its_books_is_refused(held: tuple[int, ...]) -> None:
    (wrong,) = reconciliation(BOTH).differences([told(*held)], numbers([1, 2, 3, 4]))
    assert wrong == f"window 3: an answer tells what {len(held)} of its 4 ranks hold"


def test_accounts_are_compared_by_slot() -> None:
    accounts = [Account("dimm-01", 0, 0, (20, 40), 1), Account("dimm-00", 0, 0, (10, 30), 1)]
    books = reconciliation(GPU, BOTH)
    assert books.accounts_differ(accounts, numbers([10, 20, 30, 40])) == []
    assert books.accounts_differ(accounts, numbers([10, 20, 30, 41])) == [
        "dimm-01 rank 1 holds 40 bytes, the ledger says 41"
    ]


def test_an_account_that_is_missing_is_seen() -> None:
    (wrong,) = reconciliation(BOTH).accounts_differ([Account("dimm-00", 0, 0, (10, 30), 1)], numbers([0] * 4))
    assert wrong == "the account of dimm-00 tells what 2 of its 4 ranks hold"
