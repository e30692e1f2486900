"""Coroutines on a thread in the background, and waiting for them."""

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from l3sim.clients import background as background_module
from l3sim.clients.background import Background
from l3sim.errors import NotFound


@pytest.fixture
def background() -> Iterator[Background]:
    with Background() as one:
        yield one


def interrupted_when(begun: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the wait for a result end as by Ctrl-C; only in that module, for others have futures, too."""

    class Interrupted(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            begun()
            raise KeyboardInterrupt

    monkeypatch.setattr(background_module, "Future", Interrupted)


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

    interrupted_when(begun.wait, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        background.run(work())
    assert cleaned.is_set()
    monkeypatch.undo()


def test_ctrl_c_before_the_first_step_is_raised_as_well(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    background._loop.call_soon_threadsafe(release.wait)  # the task and its end come in one turn of the loop
    work = asyncio.sleep(3600)
    waited = concurrent.futures.wait

    def wait_for_it(futures: list[Future[Any]]) -> Any:
        release.set()
        return waited(futures)

    monkeypatch.setattr(background_module, "wait", wait_for_it)
    interrupted_when(lambda: True, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        background.run(work)
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED
    monkeypatch.undo()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_what_ends_a_process_reaches_the_caller_and_the_thread_goes_on(
    background: Background, kind: type[BaseException]
) -> None:
    async def leaves() -> None:
        raise kind

    with pytest.raises(kind):
        background.run(leaves())
    assert background.run(asyncio.sleep(0, 7)) == 7


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


def test_an_iterator_that_is_dropped_after_the_end_is_silent() -> None:
    closed = []

    async def count() -> AsyncIterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    with Background() as background:
        some = background.iterate(count)
        assert next(some) == 0
    some.close()  # type: ignore[attr-defined]
    assert closed == [True]


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
