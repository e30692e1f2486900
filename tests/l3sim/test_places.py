"""Where files are, in a checkout and installed."""

import sys
from pathlib import Path

import pytest

from l3sim import places
from tests.root import ROOT

HOME = {"L3_HOME": "/there"}


def test_in_a_checkout_state_and_tables_lie_beside_the_code() -> None:
    assert places.checkout() == ROOT
    assert places.state_folder({}) == ROOT / ".l3"
    assert places.tables_folder({}) == ROOT / ".l3" / "tables"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package in an environment's folder, and a user's home."""
    folder = tmp_path / "site-packages" / "l3sim"
    folder.mkdir(parents=True)
    monkeypatch.setattr(places, "PACKAGE", folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_installed_they_lie_in_the_users_folders(installed: Path) -> None:
    assert places.checkout() is None
    assert places.state_folder({}) == installed / ".local" / "state" / "l3"
    assert places.tables_folder({}) == installed / ".cache" / "l3" / "tables"
    named = {"XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c"}
    assert places.state_folder(named) == Path("/s/l3")
    assert places.tables_folder(named) == Path("/c/l3/tables")


def test_a_relative_folder_of_the_desktop_standard_counts_for_nothing(installed: Path) -> None:
    assert places.state_folder({"XDG_STATE_HOME": "here"}) == installed / ".local" / "state" / "l3"


@pytest.mark.usefixtures("installed")
def test_installed_a_named_home_has_the_tables_as_well() -> None:
    assert places.tables_folder(HOME) == Path("/there/tables")


def test_a_named_home_has_the_tables_unless_a_folder_is_named() -> None:
    assert places.state_folder(HOME) == Path("/there")
    assert places.tables_folder(HOME) == Path("/there/tables")
    both = {**HOME, "L3_TABLES": "/tables"}
    assert places.tables_folder(both) == Path("/tables")


def test_a_child_is_told_of_the_checkout_only_where_it_would_not_find_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT), "/lib"])
    assert places.child_path({}) == str(ROOT)
    assert places.child_path({"PYTHONPATH": "/mine"}) == f"{ROOT}:/mine"
    assert places.child_path({"PYTHONPATH": f"/mine:{ROOT}"}) == f"/mine:{ROOT}"
    # An editable installation finds the package without its folder on the path.
    monkeypatch.setattr(sys, "path", ["/lib"])
    assert places.child_path({"PYTHONPATH": "/mine"}) == "/mine"


def test_a_child_of_an_installed_package_is_told_nothing(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(installed))
    monkeypatch.setattr(sys, "path", [str(installed / "site-packages")])
    assert places.child_path({}) == ""
