"""Each thing that can be wrong with a KV ledger is noticed and named."""

from collections.abc import Callable

import pytest

from l3sim.orchestrator.engine.kv.ledger import KvLedger
from l3sim.orchestrator.engine.requests import Phase, RequestTable
from l3sim.work import KvPlacement
from tests.orchestrator.engine.kv.test_ledger import ledger


@pytest.mark.parametrize(
    ("breakage", "text"),
    [
        (lambda books, _: books._residents.append(0), "a request is resident twice"),
        (lambda _, table: table.phase.__setitem__(0, Phase.WAITING), "neither in prefill nor decoding"),
        (lambda books, _: books._residents.reverse(), "out of the order of their admission"),
        (lambda _, table: table.kv_tokens.__setitem__(0, 31), "holds more KV than it has room for"),
        (lambda _, table: table.kv_tokens.__setitem__(0, 20), "holds more tokens than it can ever need"),
    ],
)
def test_integrity_names_what_is_wrong(breakage: Callable[[KvLedger, RequestTable], None], text: str) -> None:
    books, table = ledger(30)
    for request in range(2):
        books.admit(KvPlacement(request, 0, 0))
    assert books.check_integrity() == []
    breakage(books, table)
    assert text in "; ".join(books.check_integrity())


def test_integrity_notices_sums_that_were_not_kept() -> None:
    books, table = ledger(30)
    books.admit(KvPlacement(0, 0, 0))
    assert (books.held_bytes().sum(), books.booked_bytes().sum() > 0) == (0, True)
    table.kv_tokens[0] = 5
    assert books.check_integrity() == ["the KV bytes kept differ from those counted anew"]
    table.target[0] = 12
    assert "the booked bytes kept differ from those counted anew" in books.check_integrity()
