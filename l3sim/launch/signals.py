"""One way to run the event loop: Ctrl-C, SIGTERM and a closed terminal end it alike, after its clean-up."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Ended(Exception):
    """Raised when a signal asked us to end, after everything was cleaned up."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number
        super().__init__(f"ended by {number.name}")

    @property
    def exit_code(self) -> int:
        """As shells write it: 128 + signal; 130 for Ctrl-C."""
        return 128 + self.number


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main`; a signal cancels it, a second one cancels whatever its clean-up waits for.

    Raises:
        Ended: a signal came.
    """
    received: list[signal.Signals] = []

    async def body() -> T:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()

        def end(number: signal.Signals) -> None:
            received.append(number)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup and background jobs have some ignored; so it stays.
            if signal.getsignal(number) is not signal.SIG_IGN or number is signal.SIGTERM:
                loop.add_signal_handler(number, end, number)
        return await main

    try:
        return asyncio.run(body())
    except asyncio.CancelledError:
        if received:
            raise Ended(received[0]) from None
        raise
