"""The device's own ledger: what it counts, what it refuses, and what it holds."""

from collections.abc import Callable

import grpc
import numpy as np

from l3sim.conformance.opening import must_refuse
from l3sim.conformance.story import Story
from l3sim.conformance.subject import Subject, same
from l3sim.conformance.talk import Refused
from l3sim.conformance.verdicts import Failed, Skipped
from l3sim.transport.convert.rounds import window_to_proto
from l3sim.units import Int64s
from l3sim.v1 import device_pb2 as pb
from l3sim.work import Commit, Role, SubBatch, Window


async def keeps_books(subject: Subject) -> None:
    """Audit and Closed tell committed windows, rounds and requests, and the KV bytes of every rank."""
    async with subject.session() as talk:
        story = Story(talk, subject.layout.ranksets)
        _compare(subject, story, await talk.audit(), windows=0, rounds=0)
        await story.play(chunks=[{0: 100, 1: 37}])
        await story.play(decode=[[0], [1]], rounds=3)
        # What was asked last is not committed yet, so the books are those of the window before.
        before = dict(story.held)
        story.held = {0: 100, 1: 37}
        _compare(subject, story, await talk.audit(), windows=1, rounds=1)
        story.held = before
        window, costs = await story.play(chunks=[{2: 64}], releases=[0])
        account = await talk.close([Commit(window.window_id, costs.valid_rounds)])
        _compare(subject, story, account, story.windows, story.rounds)


def _compare(subject: Subject, story: Story, account: pb.Account, windows: int, rounds: int) -> None:
    same("Account.slot", account.slot, subject.hello().slots[0].slot)
    same("Account.windows", account.windows, windows)
    same("Account.rounds", account.rounds, rounds)
    same("Account.requests", account.requests, len(story.held))
    if subject.description.role == Role.ATTENTION:
        held = np.zeros(len(subject.assignments), dtype=np.int64)
        for request, tokens in story.held.items():
            held += _request_bytes(subject, request, tokens)
        same("Account.held_bytes", list(account.held_bytes), held.tolist())


def _request_bytes(subject: Subject, request: int, tokens: int) -> Int64s:
    """KV bytes that a request of so many tokens takes of each domain, in whole blocks: shape (domains,)."""
    layout = subject.layout
    first = request % layout.ranksets * layout.ranks
    blocks = layout.step_blocks(layout.blocks(np.array(tokens)))
    # What lies q ranks further is what a request placed there would have.
    whole = blocks @ layout.pieces(subject.model.layers)[first : first + layout.steps]
    whole = (whole * layout.block_bytes(subject.model)).reshape(layout.ranksets, layout.ranks)
    return np.array(
        [
            0 if assignment.unused else whole[assignment.rankset, assignment.rank]
            for assignment in subject.assignments
        ]
    )


async def refuses_contradictions(subject: Subject) -> None:
    """A window that contradicts the device's ledger is FAILED_PRECONDITION."""
    wrong: dict[str, Callable[[Story], Window]] = {
        "a context that differs": lambda story: _decode(0, story.held[0] + 1, story),
        "a request that was never placed": lambda story: _decode(9, 5, story),
        "a commit of a window that is not open": lambda story: _decode(
            0, story.held[0], story, Commit(4711, 1)
        ),
        "more rounds committed than asked": lambda story: _decode(
            0, story.held[0], story, Commit(story.commits[0].window_id, 2)
        ),
        "a release of an unknown request": lambda story: Window(99, 0, 1, (), (), (9,), story.commits),
    }
    for what, window_of in wrong.items():
        async with subject.session() as talk:
            story = Story(talk, subject.layout.ranksets)
            await story.play(chunks=[{0: 100}])
            request = pb.SessionRequest(window=window_to_proto(window_of(story)))
            await must_refuse(talk, request, what)


def _decode(request: int, context: int, story: Story, commit: Commit | None = None) -> Window:
    """A window of one decoding request, written by hand."""
    batch = SubBatch(0, np.array([request], dtype=np.int64), np.array([context], dtype=np.int64))
    commits = (commit,) if commit else story.commits
    return Window(99, 0, 1, (batch,), (), (), commits)


async def is_honest_about_capacity(subject: Subject) -> None:
    """KV up to the stated capacity is taken, a token more is RESOURCE_EXHAUSTED."""
    if subject.description.role != Role.ATTENTION:
        raise Skipped("it holds no KV")
    async with subject.talk() as talk:
        (ready,) = (await talk.hello(subject.hello())).devices
        rooms = np.array([region.capacity_bytes for region in ready.regions], dtype=np.int64)
        fits = _longest(subject, rooms)
        if not fits:
            raise Failed("no rank has room for a token; list one region a rank, with its capacity")
        await _fill(Story(talk, subject.layout.ranksets), fits)
    async with subject.session() as talk:
        try:
            await _fill(Story(talk, subject.layout.ranksets), fits + 1)
        except Refused as refused:
            if refused.code is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise Failed(f"{fits + 1} tokens: {refused}; must be RESOURCE_EXHAUSTED") from None
            return
    raise Failed(f"{fits + 1} tokens are taken where {fits} fill its stated capacity")


def _longest(subject: Subject, rooms: Int64s) -> int:
    """Tokens of the longest request that the device's domains hold, whole blocks."""

    def fits(blocks: int) -> bool:
        return bool((_request_bytes(subject, 0, blocks * block) <= rooms).all())

    block, enough, lacks = subject.layout.kv_block_tokens, 0, 1
    while fits(lacks):
        enough, lacks = lacks, 2 * lacks
    while lacks - enough > 1:
        middle = (enough + lacks) // 2
        enough, lacks = (middle, lacks) if fits(middle) else (enough, middle)
    return enough * block


async def _fill(story: Story, tokens: int) -> None:
    """One request of so many tokens, committed."""
    await story.play(chunks=[{0: tokens}])
    await story.talk.close(story.commits)
