"""A machine that stays: started, found, refused twice, stopped, and gone with its supervisor."""

import signal

import psutil
import pytest

from tests.commands import Commands, family, finish, living, until

PARTS = ["broker", "gpu", "dimm-00", "dimm-01", "dimm-02", "dimm-03", "link", "orchestrator"]


def test_a_machine_comes_up_is_found_and_leaves_nothing_behind(l3: Commands) -> None:
    up = l3.run("up", "--machine", "l3-mini", "--detach")
    state = l3.json("status")
    assert (up.returncode, up.stderr) == (0, "")
    assert up.stdout == f"machine l3-mini is ready at {state['address']}\n"
    assert [part["name"] for part in state["parts"]] == PARTS
    assert {part["state"] for part in state["parts"]} == {"running"}
    processes = family(state["pid"])
    assert {process.pid for process in processes} == {state["pid"], *(part["pid"] for part in state["parts"])}
    assert {device["id"] for device in l3.json("devices")} == set(PARTS) - {"broker", "orchestrator"}

    second = l3.run("up", "--machine", "l3-mini", "--detach")
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr == (
        f"l3: error: machine l3-mini is already up at {state['address']} (pid {state['pid']}); "
        "stop it first: ./l3 down\n"
    )
    assert l3.json("status") == state

    down = l3.run("down")
    assert (down.returncode, down.stdout, down.stderr) == (0, "machine l3-mini is stopped\n", "")
    assert living(processes) == []
    for command in ("down", "status"):
        done = l3.run(command)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr == "l3: error: no machine is up; start one: ./l3 up --detach\n"


def test_packed_modules_share_processes_and_keep_their_slots(l3: Commands) -> None:
    state = l3.json("up", "--machine", "l3-mini", "--modules-per-process", "3", "--detach")
    assert [part["name"] for part in state["parts"]] == [
        "broker", "gpu", "dimm-00..02", "dimm-03", "link", "orchestrator"
    ]  # fmt: skip
    slots = {device["slot"] for device in l3.json("devices")}
    assert slots == set(PARTS) - {"broker", "orchestrator"}


def test_when_the_supervisor_is_killed_everything_leaves(l3: Commands) -> None:
    l3.run("up", "--machine", "l3-mini", "--modules-per-process", "4", "--detach")
    pid = l3.json("status")["pid"]
    processes = family(pid)
    assert len(processes) == 6
    psutil.Process(pid).kill()
    until(lambda: not living(processes), "all processes have left")
    status = l3.run("status")
    assert status.returncode == 3
    assert status.stderr == (
        f"l3: error: no machine is up any more: the supervisor of l3-mini (pid {pid}) was killed; "
        "start one: ./l3 up --detach\n"
    )
    assert l3.run("up", "--machine", "l3-mini", "--modules-per-process", "4", "--detach").returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_in_the_foreground_it_ends_with_ctrl_c_and_with_down(
    l3: Commands, number: signal.Signals, code: int
) -> None:
    up = l3.start("up", "--machine", "l3-mini", "--modules-per-process", "4")
    assert up.stdout is not None
    assert up.stdout.readline().startswith("machine l3-mini is ready at 127.0.0.1:")
    processes = family(up.pid)
    up.send_signal(number)
    done = finish(up)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert living(processes) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_while_it_starts_it_leaves_nothing_behind(l3: Commands, number: signal.Signals) -> None:
    up = l3.start("up", "--machine", "l3-mini")
    until(lambda: len(family(up.pid)) > 3, "some of its processes have begun")
    processes = family(up.pid)
    up.send_signal(number)
    finish(up)
    until(lambda: not living(processes), "all processes have left")
    assert l3.run("status").returncode == 3


def test_a_part_that_cannot_start_is_named_and_the_others_are_stopped(l3: Commands) -> None:
    up = l3.run("up", "--machine", "l3-mini", "--detach", "--listen", "203.0.113.1:7600")
    assert (up.returncode, up.stdout) == (3, "")
    assert up.stderr.startswith(
        "l3: error: orchestrator ended with exit code 2 before it was ready: "
        "l3: error: listen: cannot bind 203.0.113.1:7600"
    )
    assert l3.run("status").stderr == "l3: error: no machine is up; start one: ./l3 up --detach\n"


def test_a_device_that_dies_is_reported_and_the_machine_stays(l3: Commands) -> None:
    l3.run("up", "--machine", "l3-mini", "--detach")
    psutil.Process(l3.part("dimm-02")).kill()
    until(lambda: "ended" in l3.run("status").stdout, "the supervisor has noticed")
    states = {part["name"]: part["state"] for part in l3.json("status")["parts"]}
    assert [name for name, state in states.items() if state == "ended"] == ["dimm-02"]
    log = (l3.home / "supervisor.log").read_text()
    assert (
        log == "l3: dimm-02 was ended by SIGKILL; its slots stay empty until the machine is started again\n"
    )
    until(
        lambda: (
            {device["state"] for device in l3.json("devices") if device["id"] == "dimm-02"} == {"offline"}
        ),
        "its last will has been spoken",
    )
    submitted = l3.run("submit", "fixed:16:8", "--requests", "4")
    assert submitted.returncode == 3
    assert "role attention needs 4 of kind dimm-pim, present 3" in submitted.stderr


def test_an_orchestrator_that_keeps_dying_ends_the_machine(l3: Commands) -> None:
    up = l3.start("up", "--machine", "l3-mini", "--modules-per-process", "4")
    until(lambda: l3.run("status").returncode == 0, "the machine is up")
    processes = family(up.pid)
    seen: set[int] = set()
    for _ in range(4):
        pid = until(lambda: ({l3.part("orchestrator")} - seen or {0}).pop(), "a new orchestrator")
        seen.add(pid)
        psutil.Process(pid).kill()
    done = finish(up)
    assert done.returncode == 1
    assert done.stderr.count("; starting it again at 127.0.0.1:") == 3
    assert "l3: error: orchestrator died 4 times: " in done.stderr
    assert living(processes) == []
