"""The devices' own books of KV bytes against the orchestrator's ledger: the one place that compares them.

Every answer of an attention device to a window tells what its ranks hold, and so does every account that it
gives in an audit and at the end. Both sides count alone: a device adds and drops blocks as they come and go,
the ledger sums over its residents.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l3sim.rank_map import RankMap
from l3sim.units import Int64s
from l3sim.work import Account, Costs, Hello


@dataclass(frozen=True, slots=True)
class _Address:
    """The ranks of one address that serve a replica, and what people call them.

    Attributes:
        slots: of the address, in the order of Hello.
        names: of the ranks in use.
    """

    slots: tuple[str, ...]
    ranks: RankMap
    names: tuple[str, ...]

    def differences(self, source: str, held_bytes: Sequence[int], expected: Int64s) -> list[str]:
        """Where the bytes that all ranks of the address hold differ from the ledger's.

        Args:
            source: what tells them, for people.
            expected: as for `Reconciliation`.
        """
        if len(held_bytes) != self.ranks.assignments:
            return [f"{source} tells what {len(held_bytes)} of its {self.ranks.assignments} ranks hold"]
        if not self.names:
            return []
        held = np.array(held_bytes, dtype=np.int64)[self.ranks.index]
        due = expected[self.ranks.ranks]
        return [
            f"{self.names[at]} holds {held[at]} bytes, the ledger says {due[at]}"
            for at in np.flatnonzero(held != due)
        ]


class Reconciliation:
    """Compares what all of a replica's addresses tell, in the order of `hellos`, with its ledger.

    The bytes `expected` are those of each rank by the ledger, shape (ranksets * ranks,).
    """

    def __init__(self, replica: int, hellos: Sequence[Hello]) -> None:
        self._addresses = [_address(replica, hello) for hello in hellos]

    def differences(self, answers: Sequence[Costs], expected: Int64s) -> list[str]:
        """Where the books in the answers to a window differ from the ledger, in words."""
        wrong = []
        for address, answer in zip(self._addresses, answers, strict=True):
            source = f"window {answer.window_id}: an answer"
            wrong += address.differences(source, answer.held_bytes, expected)
        return wrong

    def accounts_differ(self, accounts: Sequence[Account], expected: Int64s) -> list[str]:
        """Where accounts, which need not be those of addresses without ranks, differ from the ledger."""
        held = {account.slot: account.held_bytes for account in accounts}
        wrong = []
        for address in self._addresses:
            if address.ranks.assignments:
                held_bytes = [each for slot in address.slots for each in held.get(slot, ())]
                wrong += address.differences(f"the account of {address.slots[0]}", held_bytes, expected)
        return wrong


def _address(replica: int, hello: Hello) -> _Address:
    ranks = RankMap.of(hello, replica)
    names = tuple(f"{hello.slots[rank.device].slot} rank {rank.domain}" for rank in ranks.used)
    return _Address(tuple(slot.slot for slot in hello.slots), ranks, names)
