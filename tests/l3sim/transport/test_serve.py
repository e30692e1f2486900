"""A process of any kind: what its command line takes, and what it says of a kind that it cannot serve."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from l3sim.transport.serve import main
from tests.commands import DEADLINE_S


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "KIND: must come first: a kind, FILE.py, FILE.py:CLASS or MODULE:CLASS"),
        (["--id", "x"], "KIND: must come first"),
        (["dim-pim"], "kind: unknown kind 'dim-pim'; did you mean 'dimm-pim'?"),
        (["./absent.py"], "kind: no file './absent.py'"),
        (["gpu", "--devices", "0"], "devices: must be 1 to 4096, got 0"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(
    argv: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"l3: error: {told}")


def test_a_file_is_served(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from l3sim.services.interconnect.device import InterconnectDevice\n"
        "class Mine(InterconnectDevice):\n    kind = 'mine'\n"
    )
    command = [sys.executable, "-P", "-m", "l3sim.transport.serve", str(file), "--id", "me", "--lifeline"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            assert json.loads(process.stdout.readline())["address"].startswith("127.0.0.1:")
            process.stdin.close()
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()
