from collections.abc import Iterator

import pytest

from tests.clients.fake_machine import FakeMachine, served


@pytest.fixture
def machine() -> FakeMachine:
    return FakeMachine()


@pytest.fixture
def address(machine: FakeMachine) -> Iterator[str]:
    with served(machine) as where:
        yield where
