"""What tests of several parts share."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import blocking
from tests.commands import Commands, living

# No test is timed: other work on this computer must not fail one.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

blocking.install()

# nohup and background jobs hand ignored signals down to all that they start; tests of what Ctrl-C and a
# closed terminal do would then wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop() -> Iterator[None]:
    """Fails the test in which code of ours kept an event loop waiting."""
    blocking.caught.clear()
    yield
    found, blocking.caught[:] = list(blocking.caught), []
    assert found == [], "blocking calls while an event loop runs; hand them to a thread"


@pytest.fixture
def l3(tmp_path: Path) -> Iterator[Commands]:
    """The command line with a home of its own; fails the test that leaves a process behind."""
    commands = Commands(tmp_path)
    yield commands
    commands.run("down")
    left = commands.leftovers()
    told = living(left)
    for process in left:
        process.kill()
    assert told == []
