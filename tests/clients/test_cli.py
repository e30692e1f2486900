import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from l3sim import VERSION
from l3sim.clients.cli import main
from l3sim.errors import DeviceLost, InvalidInput, NotFound, NotReady
from l3sim.v1 import job_pb2, machine_pb2
from tests.clients.fake_machine import CANCELLED, FAILED, RUNNING, SUCCEEDED, FakeMachine, make_job

ROOT = Path(__file__).parents[2]
REPORT = (ROOT / "tests" / "golden" / "report.json").read_text()
VIEW = (ROOT / "tests" / "golden" / "report.txt").read_text()
#: The golden report shows a broken invariant; this one has none.
SOUND = {**json.loads(REPORT), "invariants": "ok"}


@pytest.fixture(autouse=True)
def environment(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L3_ADDRESS", address)
    monkeypatch.setenv("L3_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def finished(machine: FakeMachine) -> FakeMachine:
    machine.report_json = json.dumps(SOUND)
    machine.artifacts = {
        "requests.jsonl": [b"{}\n"],
        "decisions.jsonl": [b"{}\n"],
        "config.yaml": [b"a: 1\n"],
    }
    machine.streams.append([make_job(RUNNING, 1), make_job(SUCCEEDED, 10)])
    return machine


def stripped(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def test_submit_prints_the_id_and_nothing_else(
    machine: FakeMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.warnings = ["scheduler.horizon has no effect under serial"]
    words = ["submit", "openr1", "--requests", "7", "--policy", "serial", "--set", "scheduler.horizon=3"]
    assert main([*words, "--model", "opt-66b"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "job-000001\n"
    assert shown.err == "l3: warning: scheduler.horizon has no effect under serial\n"
    spec = machine.submissions[0].spec
    assert (spec.workload.name, spec.workload.generated.requests, spec.policy) == ("openr1", 7, "serial")
    assert (spec.model_name, spec.settings[0].key, spec.settings[0].value) == (
        "opt-66b",
        "scheduler.horizon",
        "3",
    )


@pytest.mark.usefixtures("finished")
def test_submit_wait_json_has_only_the_report_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", "fixed:8:8", "--wait", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == SOUND
    assert "job-000001 succeeded: 100% · 10/10 requests" in shown.err


def test_submit_wait_prints_the_view_and_saves_and_warns_of_a_broken_invariant(
    finished: FakeMachine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    finished.report_json = json.dumps(json.loads(REPORT))
    assert main(["submit", "fixed:8:8", "--wait", "--out", "results"]) == 1
    shown = capsys.readouterr()
    assert stripped(shown.out) == VIEW
    assert "l3: error: an invariant broke: gpu of replica 0 is busy twice at 17 ps" in shown.err
    assert "l3: wrote results/report.json, results/requests.jsonl, results/decisions.jsonl" in shown.err
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == [
        "config.yaml",
        "decisions.jsonl",
        "report.json",
        "requests.jsonl",
    ]


def test_report_brings_the_spans_that_there_are(
    finished: FakeMachine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    finished.artifacts["spans.jsonl"] = [b"{}", b"\n"]
    assert main(["report", "job-000001", "--json", "--out", "results"]) == 0
    assert json.loads(capsys.readouterr().out) == SOUND
    assert (tmp_path / "results" / "spans.jsonl").read_bytes() == b"{}\n"
    assert json.loads((tmp_path / "results" / "report.json").read_text()) == SOUND


def test_jobs_and_devices_as_tables_and_as_json(
    machine: FakeMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    error = job_pb2.JobError(reason="DEVICE_LOST", message="lost dimm-07: [gone]")
    machine.jobs = [make_job(RUNNING, 3, job_id="job-000002"), make_job(FAILED, 2, error=error)]
    machine.devices = [
        machine_pb2.DeviceState(device_id="dimm-00", role="attention", state="ready", capacity_bytes=2**35)
    ]
    assert main(["jobs"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["job", "state", "done", "workload", "model", "policy", "submitted", "error"]
    assert rows[0].split()[:3] == ["job-000002", "running", "30%"]
    assert rows[1].rstrip().endswith("lost dimm-07: [gone]")
    assert main(["jobs", "--json"]) == 0
    values: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert [(value["job_id"], value["state"]) for value in values] == [
        ("job-000002", "running"),
        ("job-000001", "failed"),
    ]
    assert values[1]["error"] == {"reason": "DEVICE_LOST", "message": "lost dimm-07: [gone]"}
    assert main(["devices"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["dimm-00", "attention"]
    assert main(["devices", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["capacity_bytes"] == 2**35


def test_watch_and_cancel(machine: FakeMachine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.streams.extend([[make_job(RUNNING, 1), make_job(SUCCEEDED, 2)]] * 2)
    assert main(["watch", "job-000001"]) == 0
    assert capsys.readouterr().out == "job-000001 succeeded\n"
    assert main(["watch", "job-000001", "--json"]) == 0
    states = [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]
    assert states == ["running", "succeeded"]
    assert main(["cancel", "job-000001"]) == 0
    assert capsys.readouterr().out == "job-000001 cancelled\n"
    machine.streams.append([make_job(CANCELLED, 3)])
    assert main(["watch", "job-000001"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "l3: error: job-000001 was cancelled"


@pytest.mark.parametrize(
    ("reason", "message", "code"),
    [(DeviceLost.reason, "lost dimm-07: stream broke", 1), (NotReady.reason, "role link needs 1, has 0", 3)],
)
@pytest.mark.parametrize(
    "words", [["submit", "openr1", "--wait", "--json"], ["watch", "job-000001", "--json"]]
)
def test_a_job_that_fails(
    words: list[str],
    reason: str,
    message: str,
    code: int,
    machine: FakeMachine,
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = job_pb2.JobError(reason=reason, message=message)
    machine.streams.append([make_job(RUNNING, 1), make_job(FAILED, 2, error=error)])
    assert main(words) == code
    assert capsys.readouterr().err.splitlines()[-1] == f"l3: error: job-000001 failed: {message}"


MANY = "--{}: must be a whole number from 1 to 10000000, got {!r}"
FAST = "--rate: must be a number above 0 and at most 1e+09 requests a second, got {!r}"
BAD_OPTIONS = [
    ("--requests 0", MANY.format("requests", "0")),
    ("--requests -4", MANY.format("requests", "-4")),
    ("--requests 999999999999", MANY.format("requests", "999999999999")),
    ("--requests few", MANY.format("requests", "few")),
    ("--requests 1e3", MANY.format("requests", "1e3")),
    ("--concurrency 0", MANY.format("concurrency", "0")),
    ("--seed -1", "--seed: must be a whole number from 0 to 18446744073709551615, got '-1'"),
    ("--tp 0", "--tp: must be a whole number from 1 to 1024, got '0'"),
    ("--dp x", "--dp: must be a whole number from 1 to 1024, got 'x'"),
    ("--max-window 0", "--max-window: must be a whole number from 1 to 1000000000, got '0'"),
    ("--spans 0", "--spans: must be a whole number from 1 to 10000, got '0'"),
    ("--rate fast", FAST.format("fast")),
    ("--rate 0", FAST.format("0")),
    ("--rate -2", FAST.format("-2")),
    ("--rate 1e12", FAST.format("1e12")),
    ("--rate nan", FAST.format("nan")),
    ("--speed inf", "--speed: must be a number above 0 and at most 1e+09 times real time, got 'inf'"),
    ("--set x", "--set: must be slot.key=value, got 'x'"),
    ("--out d", "--out: needs --wait; or use `report JOB --out DIR` later"),
    ("--address nowhere", "--address: must be HOST:PORT, got 'nowhere'"),
    ("--zzz", "No such option: --zzz"),
]
BAD_INPUT = [
    *((f"submit openr1 {options}", message) for options, message in BAD_OPTIONS),
    ("submit", "Missing argument 'WORKLOAD'."),
    ("submit absent.csv", "workload: no trace file 'absent.csv'"),
    ("submit bad.csv", "bad.csv:2: ContextTokens must be a whole number from 1 to 100000000, got 'x'"),
    ("subtract", "No such command 'subtract'."),
]


@pytest.mark.parametrize(("words", "message"), BAD_INPUT)
def test_bad_input_gets_one_line_and_reaches_nobody(
    words: str,
    message: str,
    machine: FakeMachine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "bad.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n0,x,1\n")
    assert main(words.split()) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"l3: error: {message}\n")
    assert machine.submissions == []


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            InvalidInput(("model", "unknown model 'x'"), ("seed", "no")),
            2,
            "model: unknown model 'x'; seed: no",
        ),
        (NotFound("no job job-000009"), 2, "no job job-000009"),
        (NotReady("job-000001 has not succeeded"), 3, "job-000001 has not succeeded"),
    ],
)
def test_refusals_of_the_machine(
    error: Any, code: int, line: str, machine: FakeMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.refusals.append(error)
    assert main(["report", "job-000009"]) == code
    assert capsys.readouterr().err == f"l3: error: {line}\n"


def test_no_machine(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: nobody answers, nobody else can take it
        nobody = f"127.0.0.1:{held.getsockname()[1]}"
        assert main(["jobs", "--address", nobody]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"l3: error: the machine at {nobody} does not answer: ")
    assert lines[0].endswith("; start a machine with ./l3 up, or name one with --address")


@pytest.mark.parametrize("words", [[], ["--help"], ["submit", "--help"]])
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("Usage: l3")
    assert shown.err == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"l3 {VERSION}\n"


async def test_ctrl_c_while_waiting_cancels_the_job(machine: FakeMachine) -> None:
    machine.streams.append([make_job(RUNNING, 1), make_job(CANCELLED, 2)])  # the second once it is cancelled
    program = "import sys; from l3sim.clients.cli import main; sys.exit(main())"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, "submit", "openr1", "--wait"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert await asyncio.to_thread(machine.watching.wait, 30)
    child.send_signal(signal.SIGINT)
    out, err = await child.communicate()
    assert machine.cancelled.is_set()
    assert (child.returncode, out) == (130, b"")
    assert err.decode().splitlines()[-1] == "l3: job-000001 cancelled"
