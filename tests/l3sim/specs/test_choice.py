"""Who fills a role where the machine file says so."""

import pytest

from l3sim.errors import InvalidInput
from l3sim.specs.catalog import load_machine, machine_layers
from l3sim.specs.choice import addresses, check_choice, is_address, is_chosen
from l3sim.specs.machine import Machine, machine_from


def mini(**more: object) -> Machine:
    return machine_from({**machine_layers("l3-mini").raw, **more}, "here")


def test_a_file_may_name_ids_and_addresses() -> None:
    machine = mini(devices={"link": "flat-link", "attention": "10.0.0.7:7601"})
    assert machine.devices == {"link": "flat-link", "attention": "10.0.0.7:7601"}
    assert addresses(machine.devices) == ["10.0.0.7:7601"]
    assert machine_from(machine.resolved(), "again").devices == machine.devices
    assert machine.with_settings([("link.setup_us", 3.0)]).devices == machine.devices


def test_who_fills_a_role_changes_no_digest() -> None:
    assert mini(devices={"link": "flat-link"}).digest == mini().digest
    assert "devices" not in mini().resolved()


def test_whoever_loads_a_machine_may_choose_above_its_file() -> None:
    assert load_machine("l3-mini", devices={"link": "a:1"}).devices == {"link": "a:1"}


@pytest.mark.parametrize(
    ("devices", "text"),
    [
        ("flat-link", "devices: here: must be a mapping of gpu, attention, link to an id or HOST:PORT"),
        (
            {"lnk": "a"},
            "devices: here: unknown role 'lnk'; did you mean 'link'? (there are: attention, gpu, link)",
        ),
        ({"link": 3}, "devices.link: here: must be a device id or HOST:PORT, got 3"),
        ({"link": "a b"}, "devices.link: here: must be a device id or HOST:PORT, got 'a b'"),
        ({"link": "a:99999"}, "devices.link: here: must be a device id or HOST:PORT, got 'a:99999'"),
    ],
)
def test_what_names_nobody_is_refused(devices: object, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_choice(devices, "here")
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("a:1", True),
        ("10.0.0.1:7601", True),
        ("[::1]:80", True),
        ("a", False),
        ("a:", False),
        ("r/i:1", False),
    ],
)
def test_an_address_is_host_and_port(text: str, is_one: bool) -> None:
    assert is_address(text) == is_one


@pytest.mark.parametrize(
    ("choice", "is_one"),
    [
        (None, True),
        ("pim-1", True),
        ("pim", True),
        ("a:1", True),
        ("pi", False),
        ("pim-11", False),
        ("b:1", False),
        ("a", False),
    ],
)
def test_an_id_names_itself_and_what_begins_with_it(choice: str | None, is_one: bool) -> None:
    assert is_chosen(choice, "pim-1", "a:1") == is_one
