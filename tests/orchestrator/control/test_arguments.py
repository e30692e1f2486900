"""What the orchestrator process is told by words and by its environment."""

import pytest

from l3sim.errors import InvalidInput
from l3sim.orchestrator.control.arguments import parse_arguments

WORDS = ["--machine", "l3-mini", "--bus", "127.0.0.1:9", "--state", "state"]


def test_another_gpu_by_word_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("L3_GPU", raising=False)
    assert parse_arguments(WORDS).machine.gpu.type == "a100-80gb"
    assert parse_arguments([*WORDS, "--gpu", "h200"]).machine.gpu.type == "h200"
    monkeypatch.setenv("L3_GPU", "a40")
    assert parse_arguments(WORDS).machine.gpu.type == "a40"
    with pytest.raises(InvalidInput, match="unknown gpu 'h20'"):
        parse_arguments([*WORDS, "--gpu", "h20"])
