"""What a container of a role runs, by the machine file."""

from pathlib import Path

import pytest

from l3sim.errors import InvalidInput
from l3sim.launch.device import command_of, main
from l3sim.work import Role


@pytest.mark.parametrize(
    ("machine", "containers", "kind", "devices"),
    [
        ("", "32", "dimm-pim", 1),
        ("l3-dgx-a100", "4", "dimm-pim", 8),
        ("l3-mini", "32", "dimm-pim", 1),
        ("hbm-pim-dgx-a100", "32", "hbm-pim", 2),
        ("hbm-pim-dgx-a100", "", "hbm-pim", 40),
        ("cpu-dgx-a100", "3", "cpu-attention", 6),
    ],
)
def test_it_hosts_its_share_of_the_machine(machine: str, containers: str, kind: str, devices: int) -> None:
    command = command_of(Role.ATTENTION, {"L3_MACHINE": machine, "L3_CONTAINERS": containers})
    assert command == [
        "-m",
        "l3sim.transport.serve",
        kind,
        "--machine",
        machine or "l3-dgx-a100",
        "--devices",
        str(devices),
    ]


@pytest.mark.parametrize(
    ("machine", "role", "kind"),
    [
        ("l3-mini", Role.GPU, "gpu"),
        ("l3-mini", Role.LINK, "interconnect"),
        ("gpu-only-dgx-a100", Role.GPU, "gpu"),
    ],
)
def test_gpus_and_the_link_are_one_device(machine: str, role: Role, kind: str) -> None:
    command = command_of(role, {"L3_MACHINE": machine})
    assert command == ["-m", "l3sim.transport.serve", kind, "--machine", machine, "--devices", "1"]


def test_the_kind_of_a_link_is_the_machine_files(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(
        "name: other\ndescription: x\nextends: l3-mini\nlink: {kind: nobodys}\ndevices: {link: link-0}\n"
    )
    with pytest.raises(
        InvalidInput, match=r"^link\.kind: no package in this image offers 'nobodys' of other"
    ):
        command_of(Role.LINK, {"L3_MACHINE": str(file)})


def test_the_number_of_modules_may_be_another_one() -> None:
    told = {"L3_MACHINE": "l3-dgx-a100", "L3_MODULES": "4", "L3_CONTAINERS": "2"}
    assert command_of(Role.ATTENTION, told)[-1] == "2"


@pytest.mark.parametrize("role", ["attention", "link"])
def test_there_is_nothing_to_do_where_the_gpus_attend(
    role: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("L3_MACHINE", "gpu-only-dgx-a100")
    assert main([role, "--health-file", "x"]) == 0
    told = f"l3: this machine has no devices of role {role}: its GPUs attend\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"L3_CONTAINERS": "0"}, "L3_CONTAINERS: must be a whole number from 1 on, got '0'"),
        ({"L3_MODULES": "-1"}, "L3_MODULES: must be a whole number from 0 on, got '-1'"),
        ({"L3_MACHINE": "l3-max"}, "machine: unknown machine 'l3-max'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(told: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        command_of(Role.ATTENTION, told)
    assert str(caught.value).startswith(text)
