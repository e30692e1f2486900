"""Who lives in a process, from its command line."""

from pathlib import Path

import pytest

from l3sim.device import Identity
from l3sim.errors import InvalidInput
from l3sim.transport.device_arguments import identities_of, parse_device_arguments


def test_a_single_device_has_the_id_itself() -> None:
    assert identities_of("gpu", 1, "", []) == (Identity("gpu"),)
    assert identities_of("x", 1, "link", []) == (Identity("x", "link"),)


def test_several_ask_for_consecutive_slots() -> None:
    identities = identities_of("d", 3, "dimm-08", [])
    assert [(one.device_id, one.requested_slot) for one in identities] == [
        ("d-0", "dimm-08"),
        ("d-1", "dimm-09"),
        ("d-2", "dimm-10"),
    ]
    assert [one.requested_slot for one in identities_of("d", 2, "", [])] == ["", ""]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("k=1", 1),
        ("k=2.5e12", 2.5e12),
        ("k=true", True),
        ("k=null", None),
        ("k=off", "off"),
        ('k="7"', "7"),
        ("k=a=b", "a=b"),
        ("k=NaN", "NaN"),
    ],
)
def test_values_are_json_scalars_or_words(text: str, value: object) -> None:
    overrides = identities_of("d", 1, "", [text])[0].overrides
    assert overrides == {"k": value}
    assert type(overrides["k"]) is type(value)


def test_an_override_of_a_slot_goes_to_that_one_and_the_later_wins() -> None:
    identities = identities_of("d", 2, "dimm-00", ["k=1", "dimm-01.k=2"])
    assert [dict(one.overrides) for one in identities] == [{"k": 1}, {"k": 2}]


@pytest.mark.parametrize(
    ("devices", "slot", "overrides", "text"),
    [
        (0, "", [], "devices: must be 1 to 4096, got 0"),
        (2, "gpu", [], "slot: must end in a number when the process has several devices, got 'gpu'"),
        (1, "", ["k"], "override: must be [SLOT.]KEY=VALUE, got 'k'"),
        (1, "", ["=1"], "override: must be [SLOT.]KEY=VALUE, got '=1'"),
        (1, "", ["k=[1]"], "override: must be one value, got 'k=[1]'"),
        (
            2,
            "dimm-00",
            ["dimm-07.k=1"],
            "override: no device here asks for slot 'dimm-07' (there are: dimm-00, dimm-01)",
        ),
        (
            1,
            "",
            ["dimm-07.k=1"],
            "override: no device here asks for slot 'dimm-07' (there are: none, give --slot)",
        ),
    ],
)
def test_what_is_refused(devices: int, slot: str, overrides: list[str], text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        identities_of("d", devices, slot, overrides)
    assert str(caught.value) == text


def test_the_environment_stands_below_the_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L3_MACHINE", "from-env")
    monkeypatch.setenv("L3_BUS", "env:1")
    monkeypatch.setenv("L3_LISTEN", "0.0.0.0:7000")
    given = parse_device_arguments("gpu", "gpu", ["--bus", "flag:2"])
    assert given is not None
    assert (given.machine, given.bus, given.listen) == ("from-env", "flag:2", "0.0.0.0:7000")
    assert given.identities[0].device_id.startswith("gpu-")


def test_a_container_tells_a_device_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L3_ID", "hbm-pim-1-0")
    monkeypatch.setenv("L3_DEVICES", "2")
    monkeypatch.setenv("L3_HEALTH_FILE", "healthy")
    given = parse_device_arguments("attention", "hbm-pim", [])
    assert given is not None
    assert [one.device_id for one in given.identities] == ["hbm-pim-1-0-0", "hbm-pim-1-0-1"]
    assert given.health_file == Path("healthy")
    monkeypatch.setenv("L3_DEVICES", "two")
    assert parse_device_arguments("attention", "hbm-pim", []) is None
