"""Coroutines on a thread in the background, and waiting for them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from l3sim.clients.background import Background
from l3sim.errors import NotFound


@pytest.fixture
def background() -> Iterator[Background]:
    with Background() as one:
        yield one


async def where() -> threading.Thread:
    return threading.current_thread()


def test_it_runs_on_one_thread_that_is_not_ours(background: Background) -> None:
    first = background.run(where())
    assert first is background.run(where()) is not threading.current_thread()
    background.close()
    assert not first.is_alive()
    background.close()  # a second time is no harm


async def test_it_runs_where_a_loop_runs_already(background: Background) -> None:
    assert background.run(asyncio.sleep(0, 7)) == 7


def test_errors_are_those_of_the_coroutine(background: Background) -> None:
    async def fails() -> None:
        raise NotFound("no job")

    with pytest.raises(NotFound, match="no job"):
        background.run(fails())


def test_ctrl_c_cancels_and_waits_for_the_clean_up(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, cleaned = threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    def interrupted(self: Future[Any], timeout: float | None = None) -> Any:
        begun.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(Future, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        background.run(work())
    assert cleaned.is_set()
    monkeypatch.undo()


def test_an_iterator_is_followed_and_closed(background: Background) -> None:
    closed = []

    async def count() -> AsyncIterator[int]:
        try:
            for number in range(3):
                yield number
        finally:
            closed.append(True)

    assert list(background.iterate(count)) == [0, 1, 2]
    some = background.iterate(count)
    assert next(some) == 0
    some.close()  # type: ignore[attr-defined]
    assert closed == [True, True]


def test_what_still_runs_is_cancelled_at_the_end() -> None:
    ended = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def begin() -> list[asyncio.Task[None]]:
        task = asyncio.create_task(forever())
        await asyncio.sleep(0)
        return [task]

    with Background() as background:
        kept = background.run(begin())
    assert ended.is_set()
    assert kept[0].cancelled()
