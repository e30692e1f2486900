"""The fields of one `config.json`, asked for by name; whatever is wrong is said with that name."""

import json
from collections.abc import Mapping
from typing import Any

from l3sim.errors import InvalidInput


class Fields:
    """The fields of one configuration. A field that is null counts as absent.

    Raises:
        InvalidInput: from every method, with the field's name, when it is missing or of another kind.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw

    def __contains__(self, name: str) -> bool:
        """Whether the field is there."""
        return self._raw.get(name) is not None

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number of at least 1; `default` where it is absent."""
        value = self._raw.get(name)
        if value is None and default is not None:
            return default
        if value is None:
            raise InvalidInput((name, "missing"))
        if type(value) is not int or value < 1:
            raise InvalidInput((name, f"must be a whole number of at least 1, got {json.dumps(value)}"))
        return value

    def nullable(self, name: str, default: int) -> int:
        """A whole number of at least 1; 0 where null is written, `default` where nothing is."""
        return self.whole(name, 0) if name in self._raw else default

    def flag(self, name: str, default: bool) -> bool:
        """True or false; `default` where it is absent."""
        value = self._raw.get(name)
        if value is None:
            return default
        if type(value) is not bool:
            raise InvalidInput((name, f"must be true or false, got {json.dumps(value)}"))
        return value

    def refuse(self, name: str, *accepted: Any) -> None:
        """Refuse a field that is there and has none of the accepted values."""
        value = self._raw.get(name)
        if value is not None and value not in accepted:
            shown = "this" if isinstance(value, dict | list) else json.dumps(value)
            raise InvalidInput((name, f"{shown} is not modelled; use a model without"))
