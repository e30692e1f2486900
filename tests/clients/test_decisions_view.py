"""Decisions and regrets as people read them."""

import io
import json
from typing import Any

import pytest
from rich.console import Console

from l3sim.clients.cli import main
from l3sim.clients.decisions_view import explained, print_decisions, print_regret, read_lines
from l3sim.v1 import job_pb2
from tests.clients.fake_machine import FakeMachine, make_job

DECISION: dict[str, Any] = {
    "replica": 0,
    "plan": 7,
    "at_s": 1.5,
    "because": "horizon",
    "waiting": 3,
    "resident": 9,
    "preempted": 2,
    "admitted": 1,
    "blocked": "kv",
    "decoding": [4, 0],
    "context_tokens": [4000, 0],
    "chunks": [0, 1],
    "chunk_tokens": [0, 256],
    "left_out": 5,
    "horizon": 64,
    "considered": {"decode_predictions": 12.0},
    "predicted_ps": [1e6, 2e6, 3e6, 4e6],
    "happened_ps": [1_100_000, 2_200_000, 0, 0],
    "rounds": 64,
    "tokens": 256,
    "lasted_s": 0.25,
}


def printed(show: Any, records: list[dict[str, Any]]) -> str:
    console = Console(file=io.StringIO(), width=120, highlight=False)
    show(records, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_decision_in_words() -> None:
    assert explained(DECISION) == [
        "plan 7 of replica 0 at 1.500000 s, because the plan before it had lasted its horizon: "
        "3 waiting, 9 resident",
        "  preempted 2 for want of room",
        "  admits 1; the head of the queue finds no room for its KV",
        "  sub-batch 0: 4 decode over 4,000 tokens, 0 chunks of 0 tokens",
        "  sub-batch 1: 0 decode over 0 tokens, 1 chunks of 256 tokens",
        "  5 sit it out, for 64 rounds at most",
        "  weighed: decode_predictions 12",
        "  while 0 attends, a layer: GPU 1.1 us, attention 2.2 us (predicted 1.0 and 2.0)",
        "  came to 64 rounds and 256 tokens in 0.250000 s",
    ]


def test_many_decisions_are_summed_up_and_some_explained() -> None:
    records = [{**DECISION, "plan": number} for number in range(100)]
    text = printed(print_decisions, records)
    assert "100 plans; 12 of them" in text
    assert "the plan before it had lasted its horizon    100   6,400  25,600" in text
    assert text.count("\nplan ") == 12
    assert printed(print_decisions, []) == "no plan was made\n"


def test_regret_in_a_table() -> None:
    records = [
        {"tokens_per_s": {"made": 80.0, "fill": 100.0}, "best": "fill", "regret": 0.2},
        {"tokens_per_s": {"made": 50.0}, "best": "made", "regret": 0.0},
    ]
    lines = printed(print_regret, records).splitlines()
    assert lines[0].startswith("2 plans judged: the plan made gives up 10.0% of the best one's tokens")
    assert lines[-2].split() == ["made", "2", "1", "1.000"]
    assert lines[-1].split() == ["fill", "1", "1", "1.250"]
    assert printed(print_regret, []) == "no plan was judged\n"


@pytest.fixture
def finished(machine: FakeMachine, address: str, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    monkeypatch.setenv("L3_ADDRESS", address)
    machine.streams.append([make_job(job_pb2.JOB_STATE_SUCCEEDED, 10)])
    machine.artifacts = {"decisions.jsonl": [json.dumps(DECISION).encode(), b"\n"]}
    return machine


@pytest.mark.usefixtures("finished")
def test_report_explains_decisions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "job-000001", "--decisions"]) == 0
    assert "because the plan before it had lasted its horizon" in capsys.readouterr().out
    assert main(["report", "job-000001", "--decisions", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [DECISION]


@pytest.mark.usefixtures("finished")
def test_regret_of_a_job_that_was_not_asked_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "job-000001", "--regret"]) == 2
    assert "left no regret.jsonl; submit the job with --regret K" in capsys.readouterr().err
    assert main(["report", "job-000001", "--regret", "--decisions"]) == 2
    assert main(["report", "job-000001", "--decisions", "--out", "x"]) == 2


def test_lines_are_read() -> None:
    assert read_lines(b'{"a":1}\n{"a":2}\n') == [{"a": 1}, {"a": 2}]
