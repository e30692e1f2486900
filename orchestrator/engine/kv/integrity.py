"""What must hold of a KV ledger at any time, counted anew from the request table."""

from typing import TYPE_CHECKING

import numpy as np

from l3sim.orchestrator.engine.requests import Phase, RequestTable

if TYPE_CHECKING:
    from l3sim.orchestrator.engine.kv.ledger import KvLedger


def wrong_with(ledger: "KvLedger", table: RequestTable) -> list[str]:
    """What is wrong with the books, in words; empty when nothing is."""
    wrong, residents = [], ledger.residents
    requests = table.rows(residents)
    held = ledger.per_rank(requests, ledger.held_tokens(requests))
    if (held != ledger.held_bytes()).any():
        wrong.append("the KV bytes kept differ from those counted anew")
    if (ledger.per_rank(requests, ledger.booked_tokens(requests)) != ledger.booked_bytes()).any():
        wrong.append("the booked bytes kept differ from those counted anew")
    if len(set(residents)) != len(residents):
        wrong.append("a request is resident twice")
    phases = table.phase[requests]
    if not np.isin(phases, (Phase.PREFILL, Phase.DECODE, Phase.DONE)).all():
        wrong.append("a resident is neither in prefill nor decoding")
    if (np.diff(table.admission[requests]) <= 0).any():
        wrong.append("residents are out of the order of their admission")
    if (held > ledger.shape.room_bytes).any():
        wrong.append("a rank holds more KV than it has room for")
    if (table.held[requests] > table.prompt[requests] + table.output[requests] - 1).any():
        wrong.append("a request holds more tokens than it can ever need")
    return wrong
