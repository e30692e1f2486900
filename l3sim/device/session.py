"""The order of a session: commits, releases, places, rounds; and the books that follow from it."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from l3sim.device.blocks import Blocks
from l3sim.device.ledger import MAX_TOKENS, Ledger, WindowMembers, members_of
from l3sim.errors import OutOfRoom, OutOfStep
from l3sim.ports import DeviceSession
from l3sim.units import Int64s
from l3sim.work import Account, Commit, Costs, Hello, KvPlacement, OpCost, Window


class BookkeepingSession(DeviceSession):
    """Keeps the ledger and the counters of all devices of a process; a subclass costs the rounds.

    Args:
        room_bytes: KV bytes that each rank may hold, over all slots in order; None: this device holds no KV.
    """

    def __init__(self, hello: Hello, room_bytes: Int64s | None = None) -> None:
        self.hello = hello
        self.ledger = self.new_ledger()
        self._open: dict[int, tuple[Window, WindowMembers]] = {}
        self._windows = np.zeros(hello.layout.dp, dtype=np.int64)
        self._rounds = np.zeros(hello.layout.dp, dtype=np.int64)
        self._room_bytes = room_bytes
        self.blocks = Blocks(hello, self.ledger)

    def new_ledger(self) -> Ledger:
        """An empty ledger; a device that keeps more than tokens by request has one of its own."""
        return Ledger()

    @abstractmethod
    def costs(self, window: Window, ledger: Ledger) -> tuple[OpCost, ...]:
        """Cost a window's rounds; `ledger` says where its requests' KV begins."""

    def counters(self, slot: str) -> Mapping[str, int]:  # noqa: ARG002
        """What a device counts beside the ledger; see Account.counters."""
        return {}

    def count(self, window: Window, rounds: int) -> None:
        """Told of every commit; a device that counts something does it here."""

    def valid_rounds(self, window: Window) -> int:
        """Rounds that this device foresees, at most the window's."""
        return window.rounds

    def window(self, window: Window) -> Costs:
        """See DeviceSession.window."""
        for commit in window.commits:
            self._commit(commit, window.replica)
        for request in window.releases:
            self._release(request, window.replica)
        for placed in window.places:
            self._check_place(placed)
            self.ledger.place(placed, window.replica)
        members = members_of(window)
        self.ledger.check(window, members)
        if window.window_id in self._open:
            raise OutOfStep(f"window {window.window_id} is already open")
        self._open[window.window_id] = (window, members)
        held = tuple(self.blocks.held_bytes.tolist())
        return Costs(window.window_id, self.valid_rounds(window), self.costs(window, self.ledger), held)

    def estimate(self, windows: Sequence[Window]) -> Sequence[Costs]:
        """See DeviceSession.estimate."""
        answers = []
        for window in windows:
            ledger = self.new_ledger()
            for placed in window.places:
                self._check_place(placed)
                ledger.place(placed, window.replica)
            members = members_of(window)
            ledger.require(members.requests, window.replica)
            if len(members.held) and not 0 <= members.held.min() <= members.held.max() <= MAX_TOKENS:
                raise OutOfRoom(f"window {window.window_id}: contexts must be 0 to {MAX_TOKENS} tokens")
            answers.append(Costs(window.window_id, self.valid_rounds(window), self.costs(window, ledger)))
        return answers

    def audit(self) -> Sequence[Account]:
        """See DeviceSession.audit."""
        present = self.ledger.present
        accounts = []
        first = 0
        for slot in self.hello.slots:
            here = slice(first, first + len(slot.assignments))
            first = here.stop
            if slot.assignments:
                replica = slot.assignments[0].replica
                windows, rounds = self._windows[replica], self._rounds[replica]
                requests = int((self.ledger.replica[present] == replica).sum())
            else:
                windows, rounds, requests = self._windows.sum(), self._rounds.sum(), len(present)
            held = tuple(self.blocks.held_bytes[here].tolist())
            counted = dict(self.counters(slot.slot))
            accounts.append(Account(slot.slot, int(windows), int(rounds), held, requests, counters=counted))
        return accounts

    def close(self, commits: Sequence[Commit]) -> Sequence[Account]:
        """See DeviceSession.close."""
        for commit in commits:
            self._commit(commit, None)
        return self.audit()

    def _check_place(self, placed: KvPlacement) -> None:
        layout = self.hello.layout
        inside = 0 <= placed.offset < layout.ranksets and 0 <= placed.rank < layout.ranks
        on_gpus = placed.offset * layout.ranks == layout.gpu_place and placed.rank == 0
        if not (inside or on_gpus):
            raise OutOfStep(
                f"request {placed.request} is placed at ({placed.offset}, {placed.rank}), outside "
                f"{layout.ranksets} ranksets of {layout.ranks} ranks"
            )
        if placed.held and self.blocks.held_bytes.size:
            raise OutOfStep(
                f"request {placed.request} brings {placed.held} tokens to ranks; give them as a chunk"
            )
        if (placed.prefix > 0) != (placed.prefix_blocks > 0) or placed.prefix_blocks > MAX_TOKENS:
            raise OutOfStep(
                f"request {placed.request} shares {placed.prefix_blocks} blocks of prefix {placed.prefix}; "
                f"give both, or neither"
            )

    def _release(self, request: int, replica: int) -> None:
        tokens = self.ledger.release(request, replica)
        self.blocks.drop(replica, request, tokens)

    def _commit(self, commit: Commit, replica: int | None) -> None:
        """Let the KV of an open window grow by the rounds that were taken, and drop what never happened."""
        window, members = self._open.pop(commit.window_id, (None, None))
        if window is None or members is None:
            raise OutOfStep(
                f"cannot commit {commit.rounds} rounds of window {commit.window_id}; it is not open"
            )
        if not 1 <= commit.rounds <= window.rounds:
            raise OutOfStep(
                f"cannot commit {commit.rounds} rounds of window {commit.window_id}; it has {window.rounds}"
            )
        if replica is not None and window.replica != replica:
            raise OutOfStep(
                f"a window of replica {replica} cannot commit window {commit.window_id} "
                f"of replica {window.replica}"
            )
        self._windows[window.replica] += 1
        self._rounds[window.replica] += commit.rounds
        requests = members.requests
        if bool((self.ledger.held[requests] != members.held).any()):
            raise OutOfStep(f"cannot commit window {commit.window_id}; its KV has changed since")
        self.count(window, commit.rounds)
        after = members.held + members.growth * commit.rounds
        self.ledger.held[requests] = after
        if len(requests):
            self.blocks.grow(window.replica, requests, members.held, after)
            self._check_room()

    def _check_room(self) -> None:
        held = self.blocks.held_bytes
        if self._room_bytes is not None and bool((held > self._room_bytes).any()):
            assignment = int(np.argmax(held - self._room_bytes))
            raise OutOfRoom(
                f"{self._rank_name(assignment)} holds {held[assignment]} bytes of KV, "
                f"more than its {self._room_bytes[assignment]}; preempt a request first"
            )

    def _rank_name(self, assignment: int) -> str:
        for slot in self.hello.slots:
            if assignment < len(slot.assignments):
                return f"rank-{assignment} of {slot.slot}"
            assignment -= len(slot.assignments)
        raise IndexError(f"no assignment {assignment}")
