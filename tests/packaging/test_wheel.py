"""The package as a stranger gets it: a wheel in an empty environment, and no checkout anywhere."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from l3sim import VERSION
from tests.packaging.tree import copy_tree
from tests.root import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")
SMALL = ("fixed:128:64", "--machine", "l3-mini", "--requests", "20", "--json")

#: Lies beside modules that are called as folders of ours: neither may be taken for the other.
NOTEBOOK = """
import clients, services
import l3sim
from l3sim import BlockingClient, Client
from l3sim.device import ConfiguredDevice
from l3sim.orchestrator.engine import policies
from l3sim.services.dimm_pim.device import DimmPimDevice
from l3sim.specs.catalog import load_machine

assert clients.MINE and services.MINE
assert Client.__module__.startswith("l3sim.") and policies and issubclass(DimmPimDevice, ConfiguredDevice)
assert BlockingClient("127.0.0.1:1").address == "127.0.0.1:1"
assert l3sim.run("fixed:16:4", machine="l3-mini", requests=2).report.requests.completed == 2
print(l3sim.__file__)
print(load_machine("l3-mini").name)
"""


def call(*words: "str | Path", cwd: Path, **environment: str) -> str:
    """What a command prints that must succeed, without anything of this checkout in its surroundings."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("L3_", "PYTHON", "XDG_"))
    }
    done = subprocess.run(
        words, cwd=cwd, env={**kept, **environment}, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the package, built from its source distribution, which is built from a clean copy."""
    tree, made = copy_tree(tmp_path_factory.mktemp("tree")), tmp_path_factory.mktemp("made")
    call(
        sys.executable,
        "-c",
        "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])",
        made,
        cwd=tree,
    )
    (sdist,) = made.glob("*.tar.gz")
    call(sys.executable, *PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", made, sdist, cwd=made)
    (found,) = made.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the commands of an environment with the wheel and what the lock names."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"
    lock = ROOT / "requirements.lock"
    call(python, *PIP, "install", "--require-hashes", "--only-binary", ":all:", "-r", lock, cwd=folder)
    call(python, *PIP, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    return folder / "bin"


@pytest.fixture
def home(tmp_path: Path, installed: Path) -> dict[str, str]:
    """Surroundings of a user who has never run it."""
    (tmp_path / "home").mkdir()
    return {"HOME": str(tmp_path / "home")}


def test_the_wheel_holds_one_package_with_its_data_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    assert {name.split("/")[0] for name in names} == {"l3sim", f"l3sim-{VERSION}.dist-info"}
    ours = {name.removeprefix("l3sim/") for name in names}
    expected = {"py.typed", "__main__.py", "launch/cli.py", "v1/job_pb2.pyi"}
    for folder in ("services", "orchestrator", "clients"):
        expected |= {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*.py")}
    for folder in ("machines", "models", "gpus"):
        data = [path for path in (ROOT / folder).rglob("*") if path.suffix in {".yaml", ".json"}]
        expected |= {f"data/{path.relative_to(ROOT)}" for path in data}
    assert expected <= ours
    assert not [name for name in names if "test_" in name or "/conftest" in name]


def test_a_job_runs_from_any_folder_alike_in_process_and_over_grpc(
    installed: Path, tmp_path: Path, home: dict[str, str]
) -> None:
    assert call(installed / "l3", "--version", cwd=tmp_path, **home) == f"l3 {VERSION}\n"
    apart = json.loads(call(installed / "l3", "run", *SMALL, cwd=tmp_path, **home))
    inside = json.loads(call(installed / "l3", "run", *SMALL, "--in-process", cwd=tmp_path, **home))
    apart.pop("exchange"), inside.pop("exchange")
    assert apart == inside

    # A machine that stays keeps its state in the user's folders, not beside the code.
    call(installed / "l3", "up", "--machine", "l3-mini", "--detach", cwd=tmp_path, **home)
    try:
        waited = json.loads(
            call(installed / "l3", "submit", *SMALL[:1], *SMALL[3:], "--wait", cwd=tmp_path, **home)
        )
    finally:
        call(installed / "l3", "down", cwd=tmp_path, **home)
    waited.pop("exchange")
    assert waited == inside
    assert (tmp_path / "home" / ".local" / "state" / "l3" / "machines" / "l3-mini").is_dir()
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


def test_a_script_beside_modules_of_its_own_imports_the_package(
    installed: Path, tmp_path: Path, home: dict[str, str]
) -> None:
    for name in ("clients", "services"):
        (tmp_path / f"{name}.py").write_text("MINE = True\n")
    script = tmp_path / "notebook.py"
    script.write_text(NOTEBOOK)
    where, machine = call(installed / "python", script, cwd=tmp_path, **home).splitlines()
    assert Path(where).is_relative_to(installed.parent)
    assert machine == "l3-mini"
