"""Whose code a class is: a stranger's is told apart by what its files hold, wherever they lie."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from l3sim.kinds import device_class
from l3sim.origin import code_of, is_ours, read, version_of
from l3sim.services.interconnect.device import InterconnectDevice

LINK = """
from l3sim.services.interconnect.device import InterconnectDevice
class Mine(InterconnectDevice):
    kind = "mine"
"""


def of_file(folder: Path, text: str) -> Any:
    folder.mkdir()
    (folder / "mine.py").write_text(text)
    return device_class(str(folder / "mine.py"))


def of_package(folder: Path, formula: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package whose device is the same, and whose formula is in a module beside it."""
    package = folder / "their_links"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "formula.py").write_text(formula)
    (package / "device.py").write_text(LINK)
    monkeypatch.syspath_prepend(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "their_links"]:
        monkeypatch.delitem(sys.modules, name)
    return importlib.import_module("their_links.device").Mine


def test_ours_have_no_mark() -> None:
    assert is_ours(InterconnectDevice)
    assert code_of(InterconnectDevice) == ""
    assert version_of(InterconnectDevice, "0.1.0") == "0.1.0"
    read(InterconnectDevice)


def test_a_file_is_told_by_what_it_holds_not_by_where_it_lies(tmp_path: Path) -> None:
    plain, moved = (of_file(tmp_path / name, LINK) for name in ("a", "b"))
    changed = of_file(tmp_path / "c", LINK + "\n# costs x 3")
    assert code_of(plain) == code_of(moved) != code_of(changed)
    assert len(code_of(plain)) == 8


def test_a_package_is_told_by_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, same, changed = (
        code_of(of_package(tmp_path / name, formula, monkeypatch))
        for name, formula in (("a", "RATE = 1"), ("b", "RATE = 1"), ("c", "RATE = 3"))
    )
    assert plain == same != changed


def test_what_a_class_builds_on_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from their_links.device import Mine\nclass Further(Mine):\n    kind = 'further'\n"
    codes = set()
    for name, formula in (("a", "RATE = 1"), ("b", "RATE = 3")):
        of_package(tmp_path / name, formula, monkeypatch)
        codes.add(code_of(of_file(tmp_path / f"{name}-file", text)))
    assert len(codes) == 2


def test_a_class_without_a_file_says_so() -> None:
    typed = type("Typed", (InterconnectDevice,), {"__module__": "typed_in"})
    assert version_of(typed, "1.0") == "1.0+no-file"


@pytest.mark.parametrize(("said", "version"), [("", "0"), ("2.1", "2.1")])
def test_the_version_is_theirs_with_their_code(tmp_path: Path, said: str, version: str) -> None:
    mine = of_file(tmp_path / "a", LINK)
    assert version_of(mine, said) == f"{version}+{code_of(mine)}"


def test_our_version_is_not_inherited(tmp_path: Path) -> None:
    mine = of_file(tmp_path / "a", LINK)
    assert version_of(mine, mine.version) == f"0+{code_of(mine)}"


def test_of_an_installed_package_it_is_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = of_package(tmp_path, "RATE = 1", monkeypatch)
    info = tmp_path / "their_links-4.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-links\nVersion: 4.2\n")
    (info / "top_level.txt").write_text("their_links\n")
    assert version_of(mine, mine.version) == f"4.2+{code_of(mine)}"
