"""What `flat_link.py` remembers of a job, and how it refuses: the ledger that every device keeps."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

from google.rpc import code_pb2, error_details_pb2, status_pb2

from l3sim.v1 import device_pb2 as pb


class Refusal(Exception):
    """Ends the session with a status; `key` is the configuration key that is to blame."""

    def __init__(self, code: int, text: str, key: str = "") -> None:
        self.code, self.text, self.key = code, text, key
        super().__init__(text)

    def status(self) -> status_pb2.Status:
        """The same for the wire; BadRequest names the key."""
        status = status_pb2.Status(code=self.code, message=self.text)
        if self.key:
            bad = error_details_pb2.BadRequest()
            bad.field_violations.add(field=self.key, description=self.text)
            status.details.add().Pack(bad)
        return status


def contradiction(text: str) -> NoReturn:
    """Refuse what contradicts the ledger or the order of a session."""
    raise Refusal(code_pb2.FAILED_PRECONDITION, text)


@dataclass
class Books:
    """Whose KV begins where and how long it is; what was asked and not yet committed."""

    offset: dict[int, int] = field(default_factory=dict)
    held: dict[int, int] = field(default_factory=dict)
    asked: dict[int, tuple[int, dict[int, int], dict[int, int]]] = field(default_factory=dict)
    windows: int = 0
    rounds: int = 0

    def commit(self, commits: Iterable[pb.Commit]) -> None:
        """Let KV grow by the rounds that were taken."""
        for commit in commits:
            if commit.window_id not in self.asked:
                contradiction(f"window {commit.window_id} is not open")
            rounds, held, growth = self.asked.pop(commit.window_id)
            if not 1 <= commit.rounds <= rounds:
                contradiction(f"window {commit.window_id} has {rounds} rounds, not {commit.rounds}")
            self.windows += 1
            self.rounds += commit.rounds
            for request, tokens in growth.items():
                self.held[request] = held[request] + tokens * commit.rounds

    def place(self, places: Iterable[pb.Placement]) -> None:
        """Enter requests."""
        for place in places:
            if place.request in self.held:
                contradiction(f"request {place.request} is placed twice")
            self.held[place.request], self.offset[place.request] = place.held, place.offset

    def release(self, requests: Iterable[int]) -> None:
        """Drop requests."""
        for request in requests:
            if self.held.pop(request, None) is None:
                contradiction(f"request {request} has no KV here")

    def ask(self, window: pb.Window) -> None:
        """Check a window's contexts and remember it until it is committed."""
        held: dict[int, int] = {}
        growth: dict[int, int] = {}
        for batch in window.sub_batches:
            members = [
                (request, context, 1)
                for request, context in zip(batch.decode_request, batch.context_tokens, strict=True)
            ]
            members += [(chunk.request, chunk.finished_tokens, chunk.tokens) for chunk in batch.chunks]
            for request, context, tokens in members:
                if request in held or self.held.get(request) != context:
                    contradiction(f"request {request} holds {self.held.get(request)} tokens, not {context}")
                held[request], growth[request] = context, tokens
        self.asked[window.window_id] = (window.rounds, held, growth)
