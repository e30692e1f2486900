"""What a device's JSON schema says of its configuration: which keys it has.

Only as much of JSON Schema as that takes. msgspec and pydantic write `{"$ref": "#/$defs/X", "$defs": ...}`,
or `anyOf` where a configuration has several forms.
"""

import json
from typing import Any

from l3sim.errors import InvalidInput

_ANY = ("anyOf", "oneOf", "allOf")
#: Schemas that refer to each other deeper than that are taken for a circle.
_DEEP = 16


def keys_of(schema_json: str) -> frozenset[str]:
    """Every key that a configuration may have; none where the schema lists none, and so takes anything.

    Raises:
        InvalidInput: it is no JSON object, or refers to what it does not define; the field is
            `config_schema_json`.
    """
    root = _root(schema_json)
    return frozenset(name for one in _forms(root, root, 0) for name in one.get("properties", {}))


def required_of(schema_json: str) -> frozenset[str]:
    """The keys that every form of a configuration must have.

    Raises:
        InvalidInput: as `keys_of`.
    """
    root = _root(schema_json)
    listed = [frozenset(one.get("required", ())) for one in _forms(root, root, 0) if "properties" in one]
    return frozenset.intersection(*listed) if listed else frozenset()


def _root(schema_json: str) -> dict[str, Any]:
    try:
        root = json.loads(schema_json)
    except ValueError:
        root = None
    if not isinstance(root, dict):
        _refuse(f"must be a JSON object, got {schema_json[:60]!r}")
    return dict(root)


def _forms(node: Any, root: dict[str, Any], depth: int) -> list[dict[str, Any]]:
    """The objects that a schema may be, references followed."""
    if not isinstance(node, dict):
        _refuse(f"must be made of JSON objects, got {str(node)[:60]!r}")
    if depth > _DEEP:
        _refuse("refers to itself without an end")
    if not isinstance(node.get("properties", {}), dict):
        _refuse("has properties that are no JSON object")
    found = [node]
    if "$ref" in node:
        found += _forms(_referred(str(node["$ref"]), root), root, depth + 1)
    for word in _ANY:
        for one in node.get(word, ()):
            found += _forms(one, root, depth + 1)
    return found


def _referred(reference: str, root: dict[str, Any]) -> Any:
    """What "#/$defs/X" names."""
    node: Any = root
    path = reference.split("/")
    if path[0] != "#":
        _refuse(f"refers to {reference!r}, which lies outside of it")
    for word in path[1:]:
        word = word.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, dict) or word not in node:
            _refuse(f"refers to {reference!r}, which it does not define")
        node = node[word]
    return node


def _refuse(text: str) -> None:
    raise InvalidInput(("config_schema_json", text))
