"""Sessions that end badly: the device forgets them and goes on."""

import asyncio

import grpc

from l3sim.conformance.story import Story
from l3sim.conformance.subject import Subject
from l3sim.conformance.talk import Refused
from l3sim.conformance.verdicts import Failed, Skipped
from l3sim.transport.convert.rounds import window_to_proto
from l3sim.v1 import device_pb2 as pb

#: A field 1 of wire type 2 that promises more bytes than there are: no message at all.
GARBAGE = b"\x0a\x7fno protocol buffer"
TIMES = 3


async def survives_cancelled_sessions(subject: Subject) -> None:
    """A session that is cancelled in the middle of a window is forgotten, and the next one works."""
    for _ in range(TIMES):
        async with subject.session() as talk:
            window = Story(talk, subject.layout.ranksets).window(chunks=[{0: 100}])
            await talk.send(pb.SessionRequest(window=window_to_proto(window)).SerializeToString())
            talk.cancel()
    # Twice: a device may hear of the last cancellation while the first of these is under way.
    for _ in range(2):
        await _works(subject, "after cancelled sessions")


async def survives_broken_sessions(subject: Subject) -> None:
    """A message that is no message ends its session only."""
    for _ in range(TIMES):
        async with subject.session() as talk:
            await talk.send(GARBAGE)
            try:
                await talk.ask(pb.SessionRequest(audit=pb.Audit()), "a refusal")
            except Refused as refused:
                if refused.code is grpc.StatusCode.UNAVAILABLE:
                    raise Failed(f"it went away over a message that is none: {refused}") from None
            except Failed:
                pass  # It ended the stream, or answered that it does not understand.
    await _works(subject, "after messages that are none")


async def bears_pings(subject: Subject) -> None:
    """A session that waits is pinged every two seconds, and goes on all the same."""
    if not subject.idle_s:
        raise Skipped("not asked (--idle 0)")
    async with subject.session() as talk:
        await asyncio.sleep(subject.idle_s)
        try:
            await talk.close()
        except Refused as refused:
            text = "allow grpc.http2.min_ping_interval_without_data_ms of 1000 or less"
            raise Failed(f"a session that waited {subject.idle_s:g} s was ended: {refused}; {text}") from None


async def closes(subject: Subject) -> None:
    """Close is answered by Closed and ends the stream."""
    async with subject.session() as talk:
        await talk.close()


async def _works(subject: Subject, when: str) -> None:
    try:
        async with subject.session() as talk:
            story = Story(talk, subject.layout.ranksets)
            await story.play(chunks=[{0: 100}])
            await talk.close(story.commits)
    except (Failed, Refused) as error:
        raise Failed(f"{when} a new session fails: {error}") from None
