"""An event loop on a thread of its own, so that blocking calls work anywhere.

In scripts, and in notebooks, whose own loop runs already and must not be run a second time.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Background:
    """Runs coroutines on its thread and waits for them; use it as a context manager, or `close` it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="l3sim", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine comes to, or whatever it raises: SystemExit, too.

        Ctrl-C cancels it and is raised when its clean-up is done.
        """
        ended: Future[T] = Future()
        tasks: list[asyncio.Task[None]] = []

        def start() -> None:
            tasks.append(self._loop.create_task(_into(ended, work)))
            tasks[0].add_done_callback(lambda _: _never_begun(ended, work))

        self._loop.call_soon_threadsafe(start)
        try:
            return ended.result()
        except KeyboardInterrupt:
            self._loop.call_soon_threadsafe(lambda: tasks[0].cancel())
            wait([ended])
            raise

    def iterate(self, make: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        """The items of an asynchronous generator, one at a time; closed when its reader wants no more.

        `close` ends it as well: an iterator that is dropped later has nothing left to do.
        """

        async def following() -> T:
            return await anext(items)

        items = make()
        try:
            while True:
                try:
                    item = self.run(following())
                except StopAsyncIteration:
                    return
                yield item
        finally:
            close = getattr(items, "aclose", None)
            if close is not None and not self._loop.is_closed():
                self.run(close())

    def close(self) -> None:
        """End the thread; whatever still runs is cancelled first."""
        if self._loop.is_closed():
            return
        self.run(self._clear())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _clear(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()


async def _into(ended: Future[T], work: Coroutine[Any, Any, T]) -> None:
    try:
        ended.set_result(await work)
    except BaseException as error:
        ended.set_exception(error)


def _never_begun(ended: Future[T], work: Coroutine[Any, Any, T]) -> None:
    """A task that is cancelled before its first step runs nothing of its coroutine."""
    if not ended.done():
        work.close()
        ended.set_exception(asyncio.CancelledError())
