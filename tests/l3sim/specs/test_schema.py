"""Keys of a configuration, however its schema is written."""

import json
from typing import Any

import msgspec
import pytest

from l3sim.errors import InvalidInput
from l3sim.specs.config import CalibratedGpuConfig, GpuConfig
from l3sim.specs.schema import keys_of, required_of

FLAT = {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]}


@pytest.mark.parametrize(
    "schema",
    [
        FLAT,
        {"$ref": "#/$defs/X", "$defs": {"X": FLAT}},
        {"$ref": "#/$defs/a~1b", "$defs": {"a/b": FLAT}},
        {"allOf": [{"$ref": "#/$defs/X"}], "$defs": {"X": {"$ref": "#/$defs/Y"}, "Y": FLAT}},
        {"anyOf": [FLAT, {"properties": {"a": {}}, "required": ["a"]}]},
    ],
)
def test_references_and_forms_are_followed(schema: Any) -> None:
    assert keys_of(json.dumps(schema)) == {"a", "b"}
    assert required_of(json.dumps(schema)) == {"a"}


def test_what_msgspec_publishes_has_the_keys_of_the_struct() -> None:
    schemas, named = msgspec.json.schema_components((GpuConfig, CalibratedGpuConfig))
    text = json.dumps({"anyOf": list(schemas), "$defs": named})
    assert keys_of(text) == set(CalibratedGpuConfig.__struct_fields__)
    assert "sms" not in required_of(text)
    assert "gpus" in required_of(text)


def test_a_schema_that_lists_nothing_takes_anything() -> None:
    assert keys_of("{}") == required_of("{}") == set()


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ("", "must be a JSON object, got ''"),
        ("[]", "must be a JSON object, got '[]'"),
        ('{"properties": 3}', "has properties that are no JSON object"),
        ('{"$ref": "#/$defs/X"}', "refers to '#/$defs/X', which it does not define"),
        ('{"$ref": "other.json"}', "refers to 'other.json', which lies outside of it"),
        ('{"$ref": "#"}', "refers to itself without an end"),
        ('{"anyOf": [3]}', "must be made of JSON objects, got '3'"),
    ],
)
def test_what_cannot_be_read_is_said(schema: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        keys_of(schema)
    assert str(caught.value) == f"config_schema_json: {text}"
