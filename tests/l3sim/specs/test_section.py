"""Groups of keys: nested in the code, flat in a file, on the wire and in reports."""

import json

import msgspec
import pytest

from l3sim.device import Identity
from l3sim.errors import InvalidInput
from l3sim.services.hbm_pim.device import HbmPimDevice
from l3sim.specs.catalog import load_machine, machine_names
from l3sim.specs.machine import SECTIONS, machine_from
from l3sim.specs.modules import HbmPimConfig
from l3sim.specs.rank import ChannelConfig
from l3sim.specs.schema import keys_of
from l3sim.specs.section import Section

STACKS = load_machine("hbm-pim-dgx-a100")


class Inner(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    a: int
    b: float = 2.0
    c: tuple[int, ...] = msgspec.field(default_factory=tuple)


class Outer(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    kind: str = "x"
    inner: Inner


def test_a_group_is_flat_outside_and_nested_inside() -> None:
    made = Outer.filled({"a": 1})
    assert (made.inner, made.values()) == (Inner(a=1), {"kind": "x", "a": 1, "b": 2.0, "c": ()})
    assert [field.name for field in Outer.fields()] == ["kind", "a", "b", "c"]
    assert made.changed(b=3.0).inner == Inner(a=1, b=3.0)
    (schema,) = Outer.schema()["$defs"].values()
    assert keys_of(json.dumps(Outer.schema())) == {"kind", "a", "b", "c"}
    assert schema["required"] == ["a"]
    assert hash(made) == hash(Outer.filled({"a": 1}))


@pytest.mark.parametrize("name", machine_names())
@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_is_made_of_its_values_again(name: str, section: str) -> None:
    whole = getattr(load_machine(name), section)
    assert type(whole).filled(whole.values()) == whole
    assert set(whole.values()) == {field.name for field in whole.fields()}


def test_a_stack_says_its_channels_keys_among_its_own() -> None:
    stack = STACKS.attention
    assert isinstance(stack, HbmPimConfig)
    assert STACKS.section("attention")["tck_ps"] == stack.channel.tck_ps == 628
    assert "channel" not in STACKS.section("attention")
    assert machine_from(STACKS.resolved(), "again").attention == stack
    faster = STACKS.with_settings([("attention.tck_ps", 314)]).attention
    assert faster.channel == msgspec.structs.replace(stack.channel, tck_ps=314)
    (described,) = HbmPimDevice([Identity("me", "", {"rcd_wr_tck": 3})]).describe()
    assert keys_of(described.config_schema_json) >= set(ChannelConfig.__struct_fields__)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("channel", {}, "attention.channel: unknown key 'channel'"),
        ("tck_ps", 0, "attention.tck_ps: hbm-pim-dgx-a100: Expected `int` >= 1, got 0"),
        ("ccd_s_tck", 0, "attention.ccd_s_tck: hbm-pim-dgx-a100: Expected `int` >= 1, got 0"),
    ],
)
def test_what_is_wrong_with_a_channel_is_named_flat(key: str, value: object, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        STACKS.with_settings([(f"attention.{key}", value)])
    assert str(caught.value).startswith(text)
