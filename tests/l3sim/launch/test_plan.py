"""Slots shared out to processes, and overrides checked before anything starts."""

from pathlib import Path

import pytest

from l3sim.errors import InvalidInput
from l3sim.kinds import target_of
from l3sim.launch.plan import DeviceProcess, plan_devices, processes_of, refuse_absent
from l3sim.specs.catalog import load_machine
from l3sim.transport.device_arguments import identities_of
from l3sim.work import Role

MINI = load_machine("l3-mini")


def test_by_default_every_device_has_its_process() -> None:
    processes = plan_devices(MINI)
    assert [process.name for process in processes] == [
        "gpu", "dimm-00", "dimm-01", "dimm-02", "dimm-03", "link"
    ]  # fmt: skip
    modules = "l3sim.services.dimm_pim.device:DimmPimDevice"
    assert [process.target for process in processes][1:5] == [modules] * 4
    assert len(plan_devices(load_machine("l3-dgx-a100"))) == 34


@pytest.mark.parametrize(
    ("size", "names"),
    [
        (2, ["gpu", "dimm-00..01", "dimm-02..03", "link"]),
        (3, ["gpu", "dimm-00..02", "dimm-03", "link"]),
        (64, ["gpu", "dimm-00..03", "link"]),
    ],
)
def test_modules_are_packed_in_order_and_none_is_forgotten(size: int, names: list[str]) -> None:
    processes = plan_devices(MINI, size)
    assert [process.name for process in processes] == names
    slots = [slot for process in processes for slot in process.slots]
    assert slots == ["gpu", "dimm-00", "dimm-01", "dimm-02", "dimm-03", "link"]
    ids = [identity.device_id for process in processes for identity in process.identities]
    assert len(set(ids)) == len(ids)


OVERRIDES = ["dimm-02.ccd_l_tck=16", "gpu.compute_efficiency=0.5", "dimm-02.pass_overhead_ns=50"]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_process_makes_of_its_command_line_the_identities_that_it_has_here(size: int) -> None:
    seen: dict[str, object] = {}
    for process in plan_devices(MINI, size, OVERRIDES):
        command = process.command("l3-mini", "127.0.0.1:1")
        value = {word: command[place + 1] for place, word in enumerate(command) if word in {"--id", "--slot"}}
        given = [command[place + 1] for place, word in enumerate(command) if word == "--override"]
        count = int(command[command.index("--devices") + 1])
        there = identities_of(value["--id"], count, value["--slot"], given)
        assert list(there) == process.identities
        seen |= {identity.requested_slot: identity.overrides for identity in there}
    assert seen["dimm-02"] == {"ccd_l_tck": 16, "pass_overhead_ns": 50}
    assert seen["gpu"] == {"compute_efficiency": 0.5}
    assert seen["dimm-01"] == seen["link"] == {}


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("dimm-02", "override: must be slot.key=value, got 'dimm-02'"),
        ("bank_bytes_per_s=1", "override: must be slot.key=value, got 'bank_bytes_per_s=1'"),
        ("dimm-02.n_hc=", "override: must be slot.key=value, got 'dimm-02.n_hc='"),
        (
            "dimm-04.n_hc=1",
            "override: unknown slot 'dimm-04'; did you mean 'dimm-03'? "
            "(there are: dimm-00, dimm-01, dimm-02, dimm-03, gpu, link)",
        ),
        ("link.setup_us=-1", "link.setup_us: --override link: Expected `float` >= 0.0, got -1"),
    ],
)
def test_a_bad_override_is_named(override: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        plan_devices(MINI, 1, [override])
    assert str(caught.value) == text


def test_an_unknown_key_lists_the_keys() -> None:
    with pytest.raises(
        InvalidInput, match=r"gpu\.tdp: unknown key 'tdp'; did you mean 'tdp_w'\? \(there are: "
    ):
        plan_devices(MINI, 1, ["gpu.tdp=1"])


@pytest.mark.parametrize("key", ["modules=8", "kind=gpu", "ranks_per_module=4"])
def test_one_device_cannot_differ_in_what_shapes_the_machine(key: str) -> None:
    with pytest.raises(InvalidInput):
        plan_devices(MINI, 1, [f"dimm-01.{key}"])


@pytest.mark.parametrize("size", [0, -1, 4097])
def test_an_absurd_packing_is_refused(size: int) -> None:
    with pytest.raises(InvalidInput, match=f"modules-per-process: must be 1 to 4096, got {size}"):
        plan_devices(MINI, size)


def test_a_process_makes_its_devices_here_as_well() -> None:
    process = DeviceProcess(Role.ATTENTION, target_of("dimm-pim"), ("dimm-00", "dimm-01"))
    described = process.device().describe()
    assert [(device.device_id, device.requested_slot) for device in described] == [
        ("dimm-00-to-dimm-01-0", "dimm-00"),
        ("dimm-00-to-dimm-01-1", "dimm-01"),
    ]


def test_a_kind_that_nobody_here_offers_has_no_process_and_cannot_be_made_here(tmp_path: Path) -> None:
    file = tmp_path / "flat.yaml"
    file.write_text("extends: l3-mini\nname: f\ndescription: x\nlink: {kind: flat}\ndevices: {link: mine}\n")
    machine = load_machine(str(file))
    assert "link" not in [process.name for process in plan_devices(machine)]
    with pytest.raises(InvalidInput, match=r"link\.kind: no package here offers 'flat' of f"):
        refuse_absent(machine)
    refuse_absent(MINI)


def test_a_tag_tells_newcomers_from_those_that_they_replace() -> None:
    (process,) = processes_of(MINI, Role.ATTENTION, 4, "dimm-pim-1")
    assert process.name == "dimm-pim-1-dimm-00..03"
    assert [one.device_id for one in process.identities] == [
        f"dimm-pim-1-dimm-00-to-dimm-03-{number}" for number in range(4)
    ]
    assert {one.requested_slot for one in process.identities} == {""}
    assert "--slot" not in process.command("l3-mini", "127.0.0.1:1")
