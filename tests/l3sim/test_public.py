"""The names that `import l3sim` offers, and what it costs to import it."""

import subprocess
import sys

import pytest

import l3sim

NAMES = {
    "PROTOCOL_VERSION",
    "VERSION",
    "BlockingClient",
    "Client",
    "Comparison",
    "JobSpec",
    "L3Error",
    "Report",
    "Result",
    "WorkloadSpec",
    "compare",
    "job_spec",
    "run",
}


def test_names_are_added_and_never_removed() -> None:
    assert set(l3sim.__all__) >= NAMES
    assert set(dir(l3sim)) >= NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_name_is_what_it_says(name: str) -> None:
    found = getattr(l3sim, name)
    assert getattr(found, "__name__", name) == name


def test_an_unknown_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'l3sim' has no attribute 'simulate'"):
        _ = l3sim.simulate


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_it_loads_nothing_of_ours() -> None:
    code = "import sys, l3sim; print([m for m in sys.modules if m.startswith('l3sim.')])"
    assert python(code) == "[]"


def test_a_client_needs_no_command_line_and_no_engine() -> None:
    heavy = ("typer", "rich", "numba", "sklearn", "pandas", "l3sim.orchestrator", "l3sim.launch")
    code = f"import sys, l3sim; l3sim.BlockingClient; print([m for m in {heavy!r} if m in sys.modules])"
    assert python(code) == "[]"


def test_running_loads_no_pandas() -> None:
    assert python("import sys, l3sim; l3sim.run; print('pandas' in sys.modules)") == "False"
