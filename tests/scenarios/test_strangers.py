"""A stranger's package beside an installed `l3sim`, far from the repository: its kind is as good as ours.

site/  l3sim            copied, links followed, with the entry points of its pyproject.toml
       near_cxl.py      by pip, out of tests/strangers/near_cxl: entry point near-cxl
work/  near.yaml        gpu, link of ours    attention: near-cxl, 2 cards of 2 channels
"""

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import DEADLINE_S, Commands, living
from tests.root import ROOT

STRANGER = ROOT / "tests" / "strangers" / "near_cxl"
MACHINE = """
extends: l3-mini
name: near-mini
description: l3-mini with two CXL cards in the place of its DIMMs
attention: {kind: near-cxl, cards: 2, card_bytes: 137438953472, channel_bytes_per_s: 5.0e10, active_w: 4.0}
"""
JOB = ("run", "fixed:64:16", "--requests", "6", "--machine", "near.yaml", "--policy", "l3")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install l3sim near-cxl` leaves."""
    folder = tmp_path_factory.mktemp("strangers") / "site"
    shutil.copytree(ROOT / "l3sim", folder / "l3sim")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entered(folder, "l3sim", project["entry-points"]["l3sim.devices"])
    source = folder.parent / "near_cxl"
    shutil.copytree(STRANGER, source)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--no-index", "--disable-pip-version-check", "--target", folder, source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def entered(site: Path, package: str, kinds: dict[str, str]) -> None:
    """Leave what pip leaves of a package that offers kinds."""
    info = site / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{kind} = {target}" for kind, target in kinds.items()]
    (info / "entry_points.txt").write_text("\n".join(["[l3sim.devices]", *lines, ""]))


@pytest.fixture
def l3(site: Path, tmp_path: Path) -> Iterator[Commands]:
    """The installed command line, in a folder of its own, with the repository out of reach."""
    commands = Commands(tmp_path)
    commands.environment["PYTHONPATH"] = str(site)
    (tmp_path / "near.yaml").write_text(MACHINE)
    yield commands
    commands.run("down")
    left = commands.leftovers()
    for process in left:
        process.kill()
    assert living(left) == []


def but_exchange(report: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key != "exchange"}


@pytest.mark.slow
def test_its_kind_runs_in_process_over_grpc_and_beside_ours(l3: Commands) -> None:
    here = l3.json(*JOB, "--in-process")
    assert (here["requests"]["completed"], here["invariants"]) == (6, "ok")
    assert but_exchange(l3.json(*JOB)) == but_exchange(here)
    one_slow = l3.json(*JOB, "--in-process", "--override", "dimm-01.channel_bytes_per_s=1e9")
    assert one_slow["makespan_s"] > here["makespan_s"]
    assert l3.json(*JOB, "--in-process", "--set", "attention.setup_us=900")["makespan_s"] > here["makespan_s"]
    compared = l3.json(
        "compare", *JOB[1:4], "--machine", "l3-mini", "--machine", "near.yaml", "--policy", "l3"
    )
    assert [one["limit"] is not None for one in compared["machines"]] == [True, True]


@pytest.mark.slow
def test_it_conforms_and_takes_the_place_of_ours(l3: Commands) -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "l3sim.transport.serve", "near-cxl", "--id", "mine", "--lifeline"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=l3.environment,
        cwd=l3.folder,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())["address"]
        told = l3.json("conformance", address, "--machine", "near.yaml", "--idle", "0")
        process.stdin.close()
        assert process.wait(DEADLINE_S) == 0
    assert told["conforms"], told
    skipped = {check["name"] for check in told["checks"] if check["verdict"] != "passed"}
    assert skipped <= {"pings", "stripes"}, told  # idle 0, and it lists no partition "block"
    l3.json("up", "--machine", "l3-mini", "--detach")
    swapped = l3.json("swap", "attention", "--with", "near-cxl", "--machine", "near.yaml")
    assert (swapped["after"]["kind"], swapped["after"]["devices"]) == ("near-cxl", 2)
    report = l3.json("submit", "fixed:64:16", "--requests", "6", "--wait")
    assert (report["requests"]["completed"], report["invariants"]) == (6, "ok")
    assert l3.json("swap", "attention", "--with", "dimm-pim")["after"]["kind"] == "dimm-pim"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("kind: near-cxl", "kind: near-cxI"), "attention.kind: near.yaml: unknown kind 'near-cxI'; did you"),
        (("kind: near-cxl", "kind: ./gone.py"), "attention.kind: near.yaml: no file '"),
        (("kind: near-cxl", "kind: ./broken.py"), "broken.py does not import: NameError: name 'x' is not"),
        (("kind: near-cxl", "kind: ./empty.py"), "empty.py has no device class: a subclass of l3sim.ports"),
        (
            ("card_bytes", "card_byte"),
            "attention.card_byte: near.yaml: unknown key 'card_byte'; did you mean",
        ),
        (("attention:", "link:"), "link.kind: near.yaml: near-cxl is for role attention, not link"),
    ],
)
def test_what_is_wrong_with_a_kind_is_one_line(l3: Commands, change: tuple[str, str], told: str) -> None:
    (l3.folder / "broken.py").write_text("x += 1\n")
    (l3.folder / "empty.py").write_text("from l3sim.ports import Device\n")
    (l3.folder / "near.yaml").write_text(MACHINE.replace(*change))
    refused(l3, told)


def test_two_packages_that_offer_one_kind_are_refused(l3: Commands, tmp_path: Path) -> None:
    entered(tmp_path / "more", "other-cxl", {"near-cxl": "other_cxl:Device"})
    l3.environment["PYTHONPATH"] += f"{os.pathsep}{tmp_path / 'more'}"
    refused(
        l3,
        "attention.kind: near.yaml: 'near-cxl' is offered by near-cxl (near_cxl:NearDevice) and other-cxl (",
    )
    # Whoever does not use the kind is not bothered.
    assert l3.run("machine", "show", "l3-mini").returncode == 0


def refused(l3: Commands, told: str) -> None:
    done = l3.run(*JOB, "--in-process")
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert told in line
    assert "near.yaml" in line


def test_it_uses_public_names_only() -> None:
    tree = ast.parse((STRANGER / "near_cxl.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            named = [*str(node.module).split("."), *(alias.name for alias in node.names)]
            assert not [word for word in named if word.startswith("_")]
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_") or node.attr == "__init__"
