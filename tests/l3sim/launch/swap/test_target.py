"""The machine that a swap makes of the one that runs: named, or found, or refused; never at random."""

import json
from pathlib import Path

import pytest

from l3sim.errors import InvalidInput
from l3sim.launch.plan import processes_of
from l3sim.launch.swap.request import swap_request_of
from l3sim.launch.swap.target import chosen, target_of
from l3sim.specs.catalog import load_machine
from l3sim.work import Role

L3, MINI, HBM = (load_machine(name) for name in ("l3-dgx-a100", "l3-mini", "hbm-pim-dgx-a100"))
GPU_ONLY = load_machine("gpu-only-dgx-a100")


def test_the_machine_that_is_named_is_taken() -> None:
    request = swap_request_of("attention", "hbm-pim", "hbm-pim-dgx-a100")
    assert target_of(request, L3) == HBM


def test_the_machine_that_runs_has_the_kind_already() -> None:
    assert target_of(swap_request_of("attention", "dimm-pim", ""), MINI) is not MINI
    assert target_of(swap_request_of("attention", "dimm-pim", ""), MINI) == MINI
    assert target_of(swap_request_of("link", "a:1", ""), MINI) == MINI
    assert target_of(swap_request_of("link", "some/image", ""), MINI) == MINI


@pytest.mark.parametrize(("kind", "name"), [("cpu-attention", "cpu-dgx-a100"), ("gpu", "gpu-only-dgx-a100")])
def test_the_only_shipped_machine_of_the_kind_with_the_same_gpus_is_found(kind: str, name: str) -> None:
    assert target_of(swap_request_of("attention", kind, ""), L3) == load_machine(name)


def test_several_machines_of_the_kind_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput) as caught:
        target_of(swap_request_of("attention", "hbm-pim", ""), L3)
    assert str(caught.value) == (
        "--with: hbm-pim in attention: several machines have it: hbm-pim-dgx-a100, hbm-pim-ext-dgx-a100; "
        "say which: --machine NAME|FILE"
    )


def test_a_kind_that_no_machine_with_these_gpus_has_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        target_of(swap_request_of("attention", "hbm-pim", ""), MINI)
    assert str(caught.value) == (
        "--with: hbm-pim in attention: no shipped machine has it beside the GPUs of l3-mini; write one that "
        "extends it and say --machine NAME|FILE"
    )


def test_a_machine_of_another_kind_than_asked_for_is_refused() -> None:
    with pytest.raises(
        InvalidInput, match="--machine: l3-mini has kind dimm-pim in attention, not hbm-pim; name"
    ):
        target_of(swap_request_of("attention", "hbm-pim", "l3-mini"), L3)


def test_a_machine_that_differs_in_another_role_too_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "both.yaml"
    file.write_text(
        "extends: l3-mini\nname: both\ndescription: two strangers\ndevices: {link: flat-link}\n"
        "link: {kind: flat}\nattention: {kind: my-pim, modules: 4, module_capacity_bytes: 1000000000}\n"
    )
    with pytest.raises(
        InvalidInput, match="has kind flat in link, and l3-mini, which runs, interconnect; swap link"
    ):
        target_of(swap_request_of("attention", "a:1", str(file)), MINI)


def test_a_role_without_a_slot_is_refused() -> None:
    with pytest.raises(
        InvalidInput, match="link: gpu-only-dgx-a100 has no slot for it: its GPUs attend; swap"
    ):
        target_of(swap_request_of("link", "interconnect", ""), GPU_ONLY)


def test_a_strangers_kind_needs_no_choice_in_the_file_since_the_swap_makes_it(tmp_path: Path) -> None:
    file = tmp_path / "flat.yaml"
    file.write_text("extends: l3-mini\nname: flat\ndescription: x\nlink: {kind: flat, rate: 3}\n")
    target = target_of(swap_request_of("link", "a:1", str(file)), MINI)
    assert (target.section("link")["rate"], target.devices) == (3, {})


def test_who_was_chosen_for_the_other_roles_stays() -> None:
    running = chosen(L3, {"link": "a:1", "attention": "dimm-pim-1"})
    target = target_of(swap_request_of("attention", "hbm-pim", "hbm-pim-dgx-a100"), running)
    assert target.devices == {"link": "a:1"}


def test_of_two_files_with_one_kind_the_one_that_was_said_is_taken(tmp_path: Path) -> None:
    for name, kind in (("a", "my-link"), ("b", "my-link")):
        (tmp_path / f"{name}.py").write_text(
            "from l3sim.services.interconnect.device import InterconnectDevice\n"
            f"class MyLink(InterconnectDevice):\n    kind, version = {kind!r}, {name!r}\n"
        )
    file = tmp_path / "mine.yaml"
    link = json.dumps({**MINI.section("link"), "kind": "./a.py"})
    file.write_text(f"extends: l3-mini\nname: mine\ndescription: x\nlink: {link}\n")
    a, b = (f"{tmp_path}/{name}.py" for name in "ab")
    running = load_machine(str(file))
    for machine in ("", str(file)):
        target = target_of(swap_request_of("link", b, machine), running)
        assert (target.files, target.name) == ({"link": b}, "mine")
        (process,) = processes_of(target, Role.LINK, 1)
        assert process.device().describe()[0].version == "b"
        assert target_of(swap_request_of("link", a, machine), target).files == {"link": a}
    # And from a file to a package.
    assert target_of(swap_request_of("link", "interconnect", ""), target).files == {}
