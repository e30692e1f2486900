"""The steps of a swap that need no machine; tests/scenarios/test_swap.py takes them all on a real one."""

import json
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from l3sim.errors import InvalidInput
from l3sim.launch.plan import processes_of
from l3sim.launch.swap import swapping
from l3sim.launch.swap.provisioner import NewDevices, Provisioner
from l3sim.launch.swap.request import SwapRequest
from l3sim.launch.swap.swapping import free_tag
from l3sim.orchestrator.job.slots import fill_slots, natural
from l3sim.specs.catalog import load_machine
from l3sim.v1 import machine_pb2
from l3sim.v1.machine_pb2 import DeviceState
from l3sim.work import Role
from tests.orchestrator.fakes import device, mini_devices

MINI = load_machine("l3-mini")


def test_a_tag_is_new_and_the_least() -> None:
    there = [DeviceState(device_id=name) for name in ("gpu-swap-1", "gpu-swap-3-0", "gpu-swap-22", "gpu")]
    assert free_tag("gpu", there) == "gpu-swap-2"
    assert free_tag("hbm-pim", there) == "hbm-pim-swap-1"


@pytest.mark.parametrize("old", ["dimm-pim-0a1b2c3d4e5f-7-3", "dimm-pim-ffffffffffff-1"])
def test_newcomers_come_after_those_of_a_composition(old: str) -> None:
    assert natural(old) < natural("dimm-pim-swap-1-0")


def test_newcomers_are_spares_until_they_are_chosen() -> None:
    (process,) = processes_of(MINI, Role.ATTENTION, 4, "dimm-pim-swap-1")
    new = [("a:9", device(one.device_id, requested_slot=one.requested_slot)) for one in process.identities]
    old = [
        (address, device(f"dimm-0{number}", requested_slot=f"dimm-0{number}"))
        for number, (address, _) in enumerate(mini_devices()[2:])
    ]
    others = mini_devices()[:2]
    filled = fill_slots(MINI, [*others, *new, *old])
    assert {one.address for one in filled if one.role == Role.ATTENTION} == {"127.0.0.1:3"}
    chosen = load_machine("l3-mini", devices={"attention": "dimm-pim-swap-1"})
    filled = fill_slots(chosen, [*others, *new, *old])
    assert {one.address for one in filled if one.role == Role.ATTENTION} == {"a:9"}


class NoMachine(Provisioner):
    """Where a swap ends before it starts anything."""

    address = "a:1"

    async def start(self, new_devices: Sequence[NewDevices]) -> None: ...

    async def check(self) -> None: ...

    async def undo(self) -> None: ...

    async def retire(self, role: Role) -> None: ...


async def test_a_file_that_the_answer_names_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs.py").write_text("raise SystemExit('this was run')\n")
    raw = MINI.resolved()
    raw["link"]["kind"]["value"] = f"{tmp_path}/theirs.py"
    client = AsyncMock()
    client.__aenter__.return_value = client
    client.jobs.return_value = []
    client.machine.return_value = machine_pb2.GetMachineResponse(resolved_yaml=json.dumps(raw))
    monkeypatch.setattr(swapping, "Client", lambda _address: client)
    with pytest.raises(InvalidInput, match=r"^link.kind: a:1: .*/theirs.py is run only where"):
        await swapping.swap(SwapRequest(Role.ATTENTION, kind="dimm-pim"), NoMachine())
