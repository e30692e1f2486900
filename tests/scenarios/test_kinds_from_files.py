"""Devices of any role whose kind is said by a file: built on ours, they cost what ours do, or what they say.

l3-mini:  gpu (mine.py:MyGpu)   dimm-00 ... 03 (mine.py:MyPim)   link (mine.py:MyLink)
"""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from l3sim.clients.options import JobOptions
from l3sim.clients.report_view import report_view
from l3sim.errors import InvalidInput
from l3sim.launch.compare.jobs import run_one
from l3sim.launch.plan import plan_devices
from l3sim.reports import Report
from l3sim.specs.catalog import load_machine
from l3sim.specs.machine import machine_from
from l3sim.transport.description import described

OURS = load_machine("l3-mini")
CLASSES = {"gpu": "MyGpu", "attention": "MyPim", "link": "MyLink"}
MINE = """
from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.services.gpu.device import GpuDevice
from l3sim.services.interconnect.device import InterconnectDevice
class MyGpu(GpuDevice):
    kind = "my-gpu"
class MyPim(DimmPimDevice):
    kind = "my-pim"
class MyLink(InterconnectDevice):
    kind = "my-link"
"""
SCHEDULE = ("makespan_s", "tokens", "iteration_s", "utilization", "energy_j", "kv")


def machine_file(folder: Path, *roles: str) -> str:
    """l3-mini with devices of the file in some roles."""
    folder.mkdir(exist_ok=True)
    (folder / "mine.py").write_text(MINE)
    sections = {role: {**OURS.section(role), "kind": f"./mine.py:{CLASSES[role]}"} for role in roles}
    file = folder / "mine.yaml"
    file.write_text(json.dumps({"extends": "l3-mini", "name": "mine", "description": "x", **sections}))
    return str(file)


def report_of(machine: str) -> Report:
    spec = JobOptions(requests=4, settings=["attention.level=roofline"]).spec("fixed:64:16")
    found = run_one(spec, machine, "")
    assert found.report is not None, found.refused
    assert found.limit
    return found.report


@pytest.mark.parametrize("roles", [("gpu",), ("attention",), ("link",), ("gpu", "attention", "link")])
def test_what_builds_on_ours_costs_what_ours_do(tmp_path: Path, roles: tuple[str, ...]) -> None:
    mine, ours = report_of(machine_file(tmp_path, *roles)).to_dict(), report_of("l3-mini").to_dict()
    assert {key: mine[key] for key in SCHEDULE} == {key: ours[key] for key in SCHEDULE}


def test_a_machine_says_its_files_when_it_is_told_to_others(tmp_path: Path) -> None:
    machine = load_machine(machine_file(tmp_path, "link"))
    assert machine.link.kind == "my-link"
    assert machine.kind_said("link") == f"{tmp_path}/mine.py:MyLink"
    assert machine.kind_said("gpu") == "gpu"
    again = machine_from(machine.resolved(), "again")
    assert (again.link, again.files) == (machine.link, machine.files)
    assert machine.with_settings([("link.setup_us", 3)]).files == machine.files
    link = next(one for one in plan_devices(machine) if one.slots == ("link",))
    assert link.command("mine", "127.0.0.1:1")[2] == f"{tmp_path}/mine.py:MyLink"


def test_two_files_with_one_kind_keep_apart(tmp_path: Path) -> None:
    first, second = (machine_file(tmp_path / name, "link") for name in ("a", "b"))
    slower = MINE.replace('    kind = "my-link"', '    kind = "my-link"\n    version = "2"')
    (tmp_path / "b" / "mine.py").write_text(slower)
    versions = [
        described(plan_devices(load_machine(file))[-1].device())[0].version for file in (first, second)
    ]
    assert [version.partition("+")[0] for version in versions] == ["0", "2"]


def test_other_code_is_another_job_and_never_ours(tmp_path: Path) -> None:
    """Of one file moved, and of one with a line more."""
    files = [machine_file(tmp_path / name, "link") for name in ("a", "b", "c")]
    (tmp_path / "c" / "mine.py").write_text(MINE + "# costs x 3\n")
    reports = [report_of(file) for file in files]
    assert reports[0].job == reports[1].job != reports[2].job
    for report in reports:
        console = Console(record=True, file=StringIO(), width=100)
        console.print(report_view(report))
        assert "not ours    link: my-link, version 0+" in console.export_text()


def test_an_override_is_checked_by_the_class(tmp_path: Path) -> None:
    machine = load_machine(machine_file(tmp_path, "attention"))
    assert plan_devices(machine, overrides=["dimm-02.ccd_l_tck=16"])[3].overrides
    with pytest.raises(InvalidInput, match=r"^dimm-02.colour: unknown key 'colour'"):
        plan_devices(machine, overrides=["dimm-02.colour=3"])
