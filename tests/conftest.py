"""What tests of several parts share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.commands import Commands, living

# No test is timed: other work on this computer must not fail one.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


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
