"""`run`: a machine for one job, over processes or in this one, always stopped."""

import json
import signal
import subprocess

import psutil

from tests.commands import Commands, family, finish, living, until
from tests.root import ROOT

JOB = ("fixed:16:8", "--requests", "4", "--machine", "l3-mini", "--policy", "l3")
#: Long enough to be disturbed: a message a round, and thousands of rounds.
LONG = ("fixed:16:100000", "--requests", "2", "--machine", "l3-mini", "--max-window", "1")


def running(l3: Commands, words: tuple[str, ...]) -> "tuple[subprocess.Popen[str], list[psutil.Process]]":
    """Start a run, and return it with its processes when its job is running."""
    run = l3.start("run", *words)
    assert run.stderr is not None
    line = ""
    while "running: " not in line:  # with how far it has come: its sessions are open
        line = run.stderr.readline()
        assert line, "ended before its job ran"
    return run, family(run.pid)


def test_processes_and_one_process_give_the_same_report(l3: Commands) -> None:
    apart = l3.json("run", *JOB, "--out", "apart")
    packed = l3.json("run", *JOB, "--modules-per-process", "3", "--max-window", "1")
    inside = l3.json("run", *JOB, "--in-process", "--out", "inside")
    transports = [report.pop("exchange")["transport"] for report in (apart, packed, inside)]
    assert transports == ["grpc", "grpc", "in-process"]
    assert apart["requests"]["completed"] == 4
    assert apart["tokens"]["output"] == 32
    assert json.dumps(apart) == json.dumps(packed) == json.dumps(inside)
    for name in ("requests.jsonl", "config.yaml"):
        assert (l3.folder / "apart" / name).read_bytes() == (l3.folder / "inside" / name).read_bytes()
    assert list(l3.temporary.iterdir()) == []


def test_one_slower_module_is_the_same_machine_in_both(l3: Commands) -> None:
    override = ("--override", "dimm-02.ccd_l_tck=16")
    apart = l3.json("run", *JOB, *override)
    inside = l3.json("run", *JOB, *override, "--in-process")
    plain = l3.json("run", *JOB, "--in-process")
    for report in (apart, inside, plain):
        report.pop("exchange")
    assert json.dumps(apart) == json.dumps(inside)
    assert apart["utilization"]["attention"] > plain["utilization"]["attention"]


def test_another_gpu_is_the_same_machine_in_both(l3: Commands) -> None:
    gpu = (ROOT / "gpus" / "h200.yaml").read_text().replace("name: h200", "name: mine")
    (l3.folder / "mine.yaml").write_text(gpu)
    apart = l3.json("run", *JOB, "--gpu", "./mine.yaml")
    inside = l3.json("run", *JOB, "--gpu", "./mine.yaml", "--in-process")
    plain = l3.json("run", *JOB, "--in-process")
    for report in (apart, inside, plain):
        report.pop("exchange")
    assert json.dumps(apart) == json.dumps(inside)
    assert apart["makespan_s"] < plain["makespan_s"]
    fidelity = [device["fidelity"] for device in apart["provenance"]["devices"] if device["slot"] == "gpu"]
    assert fidelity == ["calibrated"]


def test_ctrl_c_cancels_the_job_and_leaves_nothing_behind(l3: Commands) -> None:
    run, processes = running(l3, LONG)
    run.send_signal(signal.SIGINT)
    done = finish(run)
    assert (done.returncode, done.stdout) == (130, "")
    assert "job-000001" in done.stderr
    assert "Traceback" not in done.stderr
    assert living(processes) == []
    assert list(l3.temporary.iterdir()) == []


def test_ctrl_c_ends_a_run_in_process(l3: Commands) -> None:
    run, _ = running(l3, (*LONG, "--in-process"))
    run.send_signal(signal.SIGINT)
    done = finish(run)
    assert (done.returncode, done.stdout) == (130, "")
    assert "Traceback" not in done.stderr


def test_a_killed_run_leaves_no_process(l3: Commands) -> None:
    run, processes = running(l3, LONG)
    run.kill()
    finish(run)
    until(lambda: not living(processes), "all processes have left")


def test_a_device_killed_in_a_job_fails_the_run_by_slot(l3: Commands) -> None:
    run, processes = running(l3, LONG)
    victim = next(process for process in processes if "dimm-01" in process.cmdline())
    victim.kill()
    done = finish(run)
    assert (done.returncode, done.stdout) == (1, "")
    error = next(line for line in done.stderr.splitlines() if line.startswith("l3: error: "))
    assert "lost dimm-01: " in error
    assert "dimm-01 was ended by SIGKILL" in done.stderr
    assert living(processes) == []
    # The logs of a failure are kept, and said where.
    kept = [path for path in l3.temporary.iterdir() if path.is_dir()]
    assert len(kept) == 1
    assert f"l3: the logs of the machine are kept in {kept[0]}" in done.stderr
    assert (kept[0] / "dimm-01.log").exists()
