"""A typed name -> thing table that refuses duplicates and lists what it knows."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

from l3sim.errors import InvalidInput

T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one kind by name.

    Args:
        what: what a member is, for messages ("policy").
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._members: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate a class or function to enter it under `name`.

        Raises:
            ValueError: the name is taken.
        """

        def enter(member: T) -> T:
            if name in self._members:
                raise ValueError(f"{self._what} {name!r} is registered twice")
            self._members[name] = member
            return member

        return enter

    def get(self, name: str) -> T:
        """Look a member up.

        Raises:
            InvalidInput: no such name; the message lists the names that exist.
        """
        try:
            return self._members[name]
        except KeyError:
            raise InvalidInput((self._what, unknown(self._what, name, self._members))) from None

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._members))

    def __contains__(self, name: object) -> bool:
        return name in self._members


def unknown(what: str, name: str, known: "Iterator[str] | dict[str, T] | list[str]") -> str:
    """Say that a name is unknown, what it may have meant, and what there is."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {name!r}{hint} (there are: {', '.join(names)})"
