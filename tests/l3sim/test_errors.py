"""One tree: every branch has its own reason, and one line of text."""

import pickle
import re
from typing import Any

import pytest

from l3sim import errors
from l3sim.errors import DeviceLost, InvalidInput, L3Error


def branches() -> list[type[L3Error]]:
    return L3Error.__subclasses__()


def test_the_tree_is_flat_and_drawn_in_the_docstring() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert sorted(drawn) == sorted(one.__name__ for one in branches())
    assert not [leaf for one in branches() for leaf in one.__subclasses__()]


def test_reasons_are_distinct_and_stable() -> None:
    everybody: list[type[L3Error]] = [L3Error, *branches()]
    reasons = [one.reason for one in everybody]
    assert len(set(reasons)) == len(reasons)
    assert all(re.fullmatch(r"[A-Z_]+", reason) for reason in reasons)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (2, {"InvalidInput", "NotFound", "Conflict", "OutOfRoom"}),
        (3, {"NotReady", "ProtocolMismatch", "Unreachable"}),
    ],
)
def test_exit_codes(code: int, names: set[str]) -> None:
    assert {one.__name__ for one in branches() if one.exit_code == code} == names
    assert {one.exit_code for one in branches()} == {1, 2, 3}


def test_violations_are_kept_and_told() -> None:
    error = InvalidInput(("gpu.tp", "must be 1"), ("", "something else"))
    assert list(error.violations) == [("gpu.tp", "must be 1"), ("", "something else")]
    assert str(error) == "gpu.tp: must be 1; something else"


@pytest.mark.parametrize("kind", [L3Error, *branches()])
def test_an_error_comes_whole_out_of_another_process(kind: type[L3Error]) -> None:
    arguments: dict[type[L3Error], Any] = {
        InvalidInput: (("gpu.tp", "must be 1"), ("", "else")),
        DeviceLost: ("dimm-07", "gone"),
    }
    error = kind(*arguments.get(kind, ("told",)))
    other = pickle.loads(pickle.dumps(error))
    assert (type(other), str(other), vars(other)) == (kind, str(error), vars(error))


def test_a_lost_device_is_named() -> None:
    error = DeviceLost("dimm-07", "stream broken")
    assert (error.slot, error.why, str(error)) == ("dimm-07", "stream broken", "lost dimm-07: stream broken")
