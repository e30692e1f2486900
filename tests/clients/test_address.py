import json
import os
from pathlib import Path

import pytest

from l3sim.clients.address import find_address
from l3sim.errors import InvalidInput

#: Above what Linux gives out, so that no process has it.
NO_REQUESTS = 2**22 + 1


def up(folder: Path, content: str) -> dict[str, str]:
    (folder / "up.json").write_text(content)
    return {"L3_HOME": str(folder)}


def state(address: str, pid: int) -> str:
    return json.dumps({"address": address, "pid": pid})


def test_the_first_that_somebody_gave(tmp_path: Path) -> None:
    home = up(tmp_path, state("127.0.0.1:41000", os.getpid()))
    both = {**home, "L3_ADDRESS": "machine:7601"}
    assert find_address("[::1]:1", both) == "[::1]:1"
    assert find_address(None, both) == "machine:7601"
    assert find_address(None, {**both, "L3_ADDRESS": ""}) == "127.0.0.1:41000"
    assert find_address(None, {"L3_HOME": str(tmp_path / "nothing")}) == "127.0.0.1:7600"


def test_a_machine_that_died_is_passed_over(tmp_path: Path) -> None:
    assert find_address(None, up(tmp_path, state("127.0.0.1:41000", NO_REQUESTS))) == "127.0.0.1:7600"


@pytest.mark.parametrize(
    "text", ["", "7600", "host", "host:", ":7600", "host:0", "host:65536", "host:x", "host:-1"]
)
def test_no_address(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        find_address(text, {})
    assert str(caught.value) == f"--address: must be HOST:PORT, got {text!r}"


def test_no_address_in_the_environment() -> None:
    with pytest.raises(InvalidInput, match=r"^L3_ADDRESS: must be HOST:PORT, got 'here'$"):
        find_address(None, {"L3_ADDRESS": "here"})


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"address": "127.0.0.1:1"}', '{"address": "a:1", "pid": "x"}']
)
def test_a_damaged_state_is_named(tmp_path: Path, content: str) -> None:
    environment = up(tmp_path, content)
    with pytest.raises(InvalidInput, match=r"up\.json is damaged; run \./l3 down, or remove it$"):
        find_address(None, environment)
