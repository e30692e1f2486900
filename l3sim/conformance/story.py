"""Windows of all shapes, and the bookkeeping between them, so that a check only says what happens.

A story is one session's course: requests are placed, prefilled, decode and leave; the story remembers what
each holds and what of the last window was taken, as the orchestrator would.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from l3sim.conformance.talk import Talk
from l3sim.units import Int64s
from l3sim.work import NO_REQUESTS, Chunk, Commit, Costs, KvPlacement, SubBatch, Window


class Story:
    """The course of one session of one replica.

    Attributes:
        held: KV tokens by request.
    """

    def __init__(self, talk: Talk, ranksets: int) -> None:
        self.talk = talk
        self.held: dict[int, int] = {}
        self.windows = 0
        self.rounds = 0
        #: What the next message commits.
        self.commits: tuple[Commit, ...] = ()
        self._ranksets = ranksets
        self._next_id = 1

    async def play(
        self,
        decode: Sequence[Sequence[int]] = (),
        chunks: Sequence[Mapping[int, int]] = (),
        rounds: int = 1,
        releases: Sequence[int] = (),
        last: bool = True,
    ) -> tuple[Window, Costs]:
        """Ask for one window and take all that was answered. New requests are placed where they appear.

        Args:
            decode: requests of each sub-batch.
            chunks: tokens by request of each sub-batch.
            last: whether the chunks end their prompts.
        """
        window = self.window(decode, chunks, rounds, releases, last)
        costs = await self.talk.window(window)
        self.take(window, costs.valid_rounds)
        return window, costs

    def window(
        self,
        decode: Sequence[Sequence[int]] = (),
        chunks: Sequence[Mapping[int, int]] = (),
        rounds: int = 1,
        releases: Sequence[int] = (),
        last: bool = True,
    ) -> Window:
        """The next window, not yet sent; arguments as of `play`."""
        for request in releases:
            del self.held[request]
        batches, places = [], []
        for index in range(max(len(decode), len(chunks))):
            of_decode = list(decode[index]) if index < len(decode) else []
            of_chunks = dict(chunks[index]) if index < len(chunks) else {}
            if not of_decode and not of_chunks:
                continue
            for request in of_chunks:
                if request not in self.held:
                    self.held[request] = 0
                    places.append(KvPlacement(request, request % self._ranksets, 0))
            pieces = tuple(Chunk(one, tokens, self.held[one], last) for one, tokens in of_chunks.items())
            contexts = [self.held[one] for one in of_decode]
            batches.append(SubBatch(index, _int64s(of_decode), _int64s(contexts), pieces))
        self._next_id += 1
        commits, self.commits = self.commits, ()
        return Window(
            self._next_id - 1, 0, rounds, tuple(batches), tuple(places), tuple(releases), tuple(commits)
        )

    def take(self, window: Window, rounds: int) -> None:
        """Commit rounds of a window with the next message."""
        self.commits = (Commit(window.window_id, rounds),)
        self.windows += 1
        self.rounds += rounds
        for batch in window.sub_batches:
            for request in batch.decode.tolist():
                self.held[request] += rounds
            for chunk in batch.chunks:
                self.held[chunk.request] += chunk.tokens


async def all_shapes(story: Story) -> list[tuple[Window, Costs]]:
    """Every shape that a machine sends: chunks first, middle and last, decoding, both, two sub-batches."""
    return [
        await story.play(chunks=[{0: 100}], last=False),
        await story.play(chunks=[{0: 28}, {1: 64, 2: 65}]),
        await story.play(decode=[[0]]),
        await story.play(decode=[[0, 1, 2]], rounds=8),
        await story.play(decode=[[0, 2], [1]], rounds=3),
        await story.play(decode=[[0, 1], [2]], chunks=[{3: 1}, {4: 2000}]),
        await story.play(decode=[[], [0, 1, 2, 3, 4]]),
        await story.play(decode=[[0, 2, 4]], releases=[1, 3]),
    ]


def question(
    window_id: int, contexts: Sequence[int] = (), tokens: int = 0, finished: int = 0, ranksets: int = 1
) -> Window:
    """A window that stands alone, for Estimate: request i decodes with `contexts[i]`, or one chunk."""
    requests = range(len(contexts))
    chunks = (Chunk(len(contexts), tokens, finished, True),) if tokens else ()
    places = [KvPlacement(request, request % ranksets, 0) for request in range(len(contexts) + len(chunks))]
    batch = SubBatch(0, _int64s(requests), _int64s(contexts), chunks)
    return Window(window_id, 0, 1, (batch,), tuple(places))


def _int64s(values: Sequence[int]) -> Int64s:
    return np.array(values, dtype=np.int64) if len(values) else NO_REQUESTS
