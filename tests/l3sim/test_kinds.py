"""Who serves a kind: an entry point, or a file; and one line for everything that is wrong with either."""

import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from l3sim import kinds
from l3sim.errors import InvalidInput
from l3sim.kinds import Offer, beside, device_class, is_file, offered, target_of
from l3sim.specs.config import DEVICE_KINDS
from tests.root import ROOT

OURS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][kinds.GROUP]
DEVICE = """
class {name}:
    kind, role = "{kind}", "{role}"
    def describe(self): ...
    def open(self, hello): ...
"""


class Disguised:
    """A stranger's that goes by a kind of ours."""

    kind, role = "interconnect", "link"

    def describe(self) -> None: ...

    def open(self, hello: Any) -> None: ...


def written(folder: Path, text: str, name: str = "mine.py") -> str:
    file = folder / name
    file.write_text(text)
    return str(file)


def device(name: str = "Mine", kind: str = "mine", role: str = "link") -> str:
    return DEVICE.format(name=name, kind=kind, role=role)


@pytest.mark.parametrize("kind", OURS)
def test_ours_are_entered_as_a_strangers_are(kind: str) -> None:
    found = device_class(kind)
    assert found is device_class(target_of(kind)) is device_class(OURS[kind])
    assert found.kind == kind
    # A struct that is at hand without the models.
    assert DEVICE_KINDS[found.role, kind] is found.struct


def test_all_kinds_of_ours_are_entered() -> None:
    devices = {kind for section, kind in DEVICE_KINDS if (section, kind) != ("attention", "gpu")}
    assert devices == set(OURS)


def test_a_file_has_a_kind(tmp_path: Path) -> None:
    file = written(tmp_path, "import helper_of_mine\n" + device())
    (tmp_path / "helper_of_mine.py").write_text("")
    assert is_file(file)
    assert offered(file)
    assert device_class(file).kind == "mine"
    assert device_class(file) is device_class(f"{file}:Mine")


def test_a_file_lies_beside_the_machine_file_that_says_it(tmp_path: Path) -> None:
    assert beside("./a.py", tmp_path) == f"{tmp_path}/a.py"
    assert beside("b/a.py:C", tmp_path) == f"{tmp_path}/b/a.py:C"
    assert beside("/x/a.py", tmp_path) == "/x/a.py"
    assert beside("dimm-pim", tmp_path) == "dimm-pim"


def test_what_a_file_imports_is_not_its_own(tmp_path: Path) -> None:
    base = "from l3sim.services.gpu.device import GpuDevice\n"
    assert device_class(written(tmp_path, base + device())).__name__ == "Mine"


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        ("x = 1\n", "", "mine.py has no device class: a subclass of l3sim.ports.Device with kind and role"),
        (device() + device("Other"), "", "has several device classes (Mine, Other); name one: mine.py:CLASS"),
        (device(), ":Yours", "has no device class 'Yours' (there are: Mine)"),
        ("\n\nimport no_such_module\n", "", "does not import: ModuleNotFoundError: No module named"),
        ("\n\nx = 1 / 0\n", "", "mine.py does not import: ZeroDivisionError: division by zero (line 3)"),
        ("def f(:\n", "", "mine.py does not import: SyntaxError: invalid syntax"),
        ("raise SystemExit(3)\n", "", "mine.py does not import: SystemExit: 3 (line 1)"),
    ],
)
def test_a_file_that_is_no_device_is_refused_in_a_line(
    tmp_path: Path, text: str, name: str, told: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        device_class(written(tmp_path, text) + name)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_threads_that_ask_for_a_file_at_once_run_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "runs", [], raising=False)
    text = "from l3sim import kinds\nkinds.runs.append(1)\n" + device()
    with ThreadPoolExecutor(8) as threads:
        for number in range(20):
            file = written(tmp_path, text, f"mine_{number}.py")
            assert len(set(threads.map(device_class, [file, f"{file}:Mine"] * 8))) == 1
    assert len(vars(kinds)["runs"]) == 20


def test_a_file_may_ask_for_others_while_it_is_imported(tmp_path: Path) -> None:
    other = written(tmp_path, device("Other", "other"), "other.py")
    ask = f"from l3sim.kinds import device_class\nOther = device_class({other!r})\n"
    assert device_class(written(tmp_path, ask + device())).kind == "mine"


def test_an_entry_point_that_ends_its_process_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "raise SystemExit(3)\n", "ends_its_process.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InvalidInput, match=r"ends_its_process:A does not import: SystemExit: 3$"):
        kinds.loaded("ends_its_process:A")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"^kind: no file '.*/absent.py'$"):
        device_class(f"{tmp_path}/absent.py")


@pytest.mark.parametrize("body", ["pass", "kind = 'dimm-pim'", "kind = 'gpu'"])
def test_a_strangers_class_of_a_kind_of_ours_is_refused(tmp_path: Path, body: str) -> None:
    base = "from l3sim.services.dimm_pim.device import DimmPimDevice\n"
    file = written(tmp_path, f"{base}class Mine(DimmPimDevice):\n    {body}\n")
    with pytest.raises(InvalidInput, match=r"^kind: .*/mine.py: Mine says that it is of kind '.*', which is"):
        device_class(file)


def test_a_package_may_not_enter_a_class_of_a_kind_of_ours() -> None:
    with pytest.raises(
        InvalidInput, match=r"^kind: tests.l3sim.test_kinds:Disguised: Disguised says that it"
    ):
        device_class(f"{__name__}:Disguised")


def test_two_packages_with_one_kind_are_refused_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    those = (Offer("one", "one.a:A"), Offer("other", "other.b:B"))
    monkeypatch.setattr(kinds, "offers", lambda: {"mine": those})
    assert offered("mine")
    with pytest.raises(InvalidInput) as caught:
        target_of("mine")
    assert str(caught.value) == (
        "kind: 'mine' is offered by one (one.a:A) and other (other.b:B); "
        "uninstall one, or say which by its file"
    )


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("l3sim.units:ps", "l3sim.units:ps is no device class"),
        ("no_such_module:A", "no_such_module:A does not import: ModuleNotFoundError"),
        (OURS["gpu"], "is entered as 'mine', but says that it is of kind 'gpu'; give both one word"),
    ],
)
def test_an_entry_point_that_is_no_device_is_refused(
    monkeypatch: pytest.MonkeyPatch, entry: str, told: str
) -> None:
    monkeypatch.setattr(kinds, "offers", lambda: {"mine": (Offer("one", entry),)})
    with pytest.raises(InvalidInput) as caught:
        device_class("mine")
    assert told in str(caught.value)


def test_a_kind_that_nobody_offers_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"^kind: unknown kind 'dim-pim'; did you mean 'dimm-pim'\?"):
        device_class("dim-pim")


def test_an_abstract_class_is_no_device() -> None:
    from l3sim.device import ConfiguredDevice

    thing: Any = ConfiguredDevice
    assert not kinds.is_device(thing)
