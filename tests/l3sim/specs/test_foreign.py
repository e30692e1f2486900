"""Kinds that are not ours: some keys are the machine's, the rest is between file and device."""

import json
from typing import Any

import msgspec
import pytest

from l3sim.errors import InvalidInput
from l3sim.placement import layout_of, rank_assignments
from l3sim.specs.catalog import load_machine, load_model, machine_layers
from l3sim.specs.config import LinkConfig
from l3sim.specs.foreign import LinkSection, config_of, is_foreign, struct_of_class
from l3sim.specs.machine import Machine, machine_from
from l3sim.specs.section import Section
from l3sim.specs.values import fill

LINK: dict[str, Any] = {"kind": "flat", "bytes_per_s": 1e9, "lossy": False, "name": "x", "extra": None}
MODULES: dict[str, Any] = {"kind": "my-pim", "modules": 4, "module_capacity_bytes": 2**30, "units": 7}


def mini(role: str, section: dict[str, Any], chosen: bool = True) -> Machine:
    devices = {"devices": {role: "mine"}} if chosen else {}
    return machine_from({**machine_layers("l3-mini").raw, role: section, **devices}, "here")


def schema(*keys: str) -> str:
    return json.dumps({"type": "object", "properties": {key: {} for key in keys}})


def test_keys_of_the_device_are_taken_as_they_are() -> None:
    machine = mini("link", LINK)
    assert is_foreign(machine.link)
    assert machine.section("link") == {**LINK, "level": "", "overlap": "rankset", "channel_bus": "half"}
    assert machine_from(machine.resolved(), "again").digest == machine.digest
    assert not is_foreign(machine.gpu)


def test_equal_sections_are_equal() -> None:
    assert mini("link", LINK).link == mini("link", LINK).link
    assert mini("link", LINK).link != mini("link", {**LINK, "bytes_per_s": 2e9}).link


def test_a_device_hears_its_own_keys_and_of_the_machines_those_of_its_schema() -> None:
    section = mini("link", LINK).link
    own = LINK.keys() - {"kind"}
    assert config_of(section, schema(*own)) == LINK
    assert config_of(section, schema(*own, "overlap")) == {**LINK, "overlap": "rankset"}
    referred = {"$ref": "#/$defs/Flat", "$defs": {"Flat": json.loads(schema(*own, "overlap"))}}
    assert config_of(section, json.dumps(referred)) == {**LINK, "overlap": "rankset"}
    assert config_of(section, "{}") == LINK
    # A level that the file does not say is the device's own.
    assert config_of(section, schema(*own, "level")) == LINK
    ours = load_machine("l3-mini")
    assert config_of(ours.link, "{}") == ours.section("link")


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"properties": 3}', '{"$ref": "#/$defs/X"}'])
def test_a_schema_that_cannot_be_read_is_refused(broken: str) -> None:
    with pytest.raises(InvalidInput, match=r"^link.kind: mine.yaml: the schema of kind 'flat' .*; mend"):
        config_of(mini("link", LINK).link, broken, "mine.yaml")


def test_a_key_that_the_schema_does_not_list_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"^link.extra: mine.yaml: unknown key 'extra' \(there are: bytes"):
        config_of(mini("link", LINK).link, schema("bytes_per_s", "lossy", "name"), "mine.yaml")


class Rated(msgspec.Struct, frozen=True, kw_only=True):
    """A struct that knows nothing of machines."""

    rate: float
    names: list[str] = msgspec.field(default_factory=list)
    lossy: bool = False


def test_any_struct_becomes_a_section_with_what_the_machine_reads() -> None:
    made = struct_of_class("link", Rated)
    assert made is struct_of_class("link", Rated)
    section = fill("link", made, {"kind": "flat", "rate": 2.0}, "here")
    assert msgspec.to_builtins(section) == {
        "kind": "flat", "level": "", "overlap": "rankset", "channel_bus": "half",
        "rate": 2.0, "names": [], "lossy": False,
    }  # fmt: skip
    published = json.dumps(msgspec.json.schema(Rated))
    assert config_of(section, published) == {"kind": "flat", "rate": 2.0, "names": [], "lossy": False}


@pytest.mark.parametrize("struct", [LinkSection, LinkConfig])
def test_a_struct_with_all_that_the_machine_asks_stands_as_it_is(struct: type[Section]) -> None:
    assert struct_of_class("link", struct) is struct


def test_a_job_may_set_any_key_of_it() -> None:
    machine = mini("link", LINK).with_settings([("link.other", 3), ("link.overlap", "off")])
    assert machine.section("link")["other"] == 3
    assert machine.link.overlap == "off"


def test_attention_of_a_strangers_kind_is_modules_without_ranks() -> None:
    machine, model = mini("attention", MODULES), load_model("llama-2-7b")
    layout = layout_of(machine.attention, model, 1, 1)
    assert (layout.ranksets, layout.ranks, layout.groups) == (1, 4, model.kv_heads)
    assert rank_assignments(machine.attention, layout, 3) == [(0, 0, 3, False)]


@pytest.mark.parametrize(
    ("role", "section", "text"),
    [
        ("attention", {"kind": "my-pim", "modules": 4}, "attention.module_capacity_bytes: here: missing"),
        ("link", {**LINK, "overlap": "of"}, "link.overlap: here: must be one of: rankset, off; got 'of'"),
        (
            "link",
            {"kind": "flat", "rates": [1]},
            "link.rates: here: Expected `bool | int | float | str | null`, got `array`",
        ),
        ("link", {"kind": "flat", "a b": 1}, "link.a b: here: must be a word of letters, digits and _"),
        ("gpu", {"kind": "tpu", "gpus": 1, "memory_bytes": 1}, "gpu.memory_reserve_share: here: missing"),
        ("link", {"kind": 3}, "link.kind: here: unknown kind '3'"),
    ],
)
def test_what_the_machine_needs_is_asked_for_by_name(role: str, section: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        mini(role, section)
    assert str(caught.value).startswith(text)


def test_a_kind_that_is_not_ours_needs_its_device_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        mini("link", LINK, chosen=False)
    assert str(caught.value) == (
        "link.kind: here: unknown kind 'flat' (there are: interconnect); "
        "one of your own: kind: ./FILE.py, a package that offers it, or devices.link: ID"
    )
