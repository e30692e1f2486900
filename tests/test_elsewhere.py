"""Every module of ours has a test file of its name, or tests/README.md says where it is tested."""

from tests import elsewhere
from tests.root import ROOT

HINT = "run .venv/bin/python -m tests.elsewhere, or give it a test file"


def test_every_module_has_a_test_of_its_name_or_a_line() -> None:
    files = elsewhere.files()
    assert len(files) > 200
    without = {file for file in files if not elsewhere.own_tests(file)}
    assert elsewhere.listed().keys() == without, HINT


def test_every_line_names_tests_that_are_there() -> None:
    for file, tests in elsewhere.listed().items():
        assert tests, f"{file}: nothing tests it"
        assert [test for test in tests if not (ROOT / test).is_file()] == [], f"{file}: {HINT}"


def test_every_named_test_comes_to_its_module() -> None:
    modules, reaches = elsewhere.files(), elsewhere.Reach()
    wrong = [
        f"{test} neither imports nor starts {file}"
        for file, tests in elsewhere.listed().items()
        for test in tests
        if not reaches(test, modules[file])
    ]
    assert wrong == []
    assert not reaches("tests/clients/test_saved.py", "l3sim.services.dimm_pim.device")


def test_a_module_is_found_by_its_own_folder_and_name() -> None:
    assert elsewhere.own_tests("clients/traces.py") == ["tests/clients/test_traces.py"]
    assert "tests/orchestrator/control/test_api_refusals.py" in elsewhere.own_tests(
        "orchestrator/control/api.py"
    )
    assert elsewhere.own_tests("services/gpu/nothing.py") == []
    assert elsewhere.files()["orchestrator/control/api.py"] == "l3sim.orchestrator.control.api"
