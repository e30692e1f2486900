"""Signals end a program after its clean-up, with the exit code that shells expect."""

import asyncio
import os
import signal

import pytest

from l3sim.launch import signals


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_it_after_the_clean_up(number: signal.Signals, code: int) -> None:
    told = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            told.append("cleaned")

    with pytest.raises(signals.Ended) as caught:
        signals.run(work())
    assert (caught.value.number, caught.value.exit_code, told) == (number, code, ["cleaned"])


def test_a_second_signal_cuts_the_clean_up_short() -> None:
    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

    with pytest.raises(signals.Ended) as caught:
        signals.run(work())
    assert caught.value.exit_code == 130


def test_without_a_signal_there_is_the_result_or_the_error() -> None:
    async def answer() -> int:
        return 7

    async def fails() -> None:
        raise KeyError("x")

    assert signals.run(answer()) == 7
    with pytest.raises(KeyError):
        signals.run(fails())


def test_an_ignored_hangup_stays_ignored() -> None:
    async def work() -> str:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        return "went on"

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signals.run(work()) == "went on"
    finally:
        signal.signal(signal.SIGHUP, before)
