"""Measures the house: rooms, arrows between them, circles, and the arrows that close these.

    .venv/bin/python -m scripts.layout            this checkout
    .venv/bin/python -m scripts.layout OLD NEW    other checkouts, a column each

An arrow leads from a room to another that it imports, however many modules do. Imports for a type checker
count as well: they are what a reader has to know.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
#: Folders that are import packages of ours, in one checkout or another.
PACKAGES = ("l3sim", "services", "orchestrator", "clients", "launch")

Arrows = Mapping[str, Set[str]]


def imports_of(root: Path) -> dict[str, set[str]]:
    """Each module of a checkout, and the modules of ours that it imports."""
    sys.path.insert(0, str(root))
    # What is imported already would be found in the place of the checkout's.
    loaded = {name: sys.modules.pop(name) for name in PACKAGES if name in sys.modules}
    try:
        found = [name for name in PACKAGES if (root / name / "__init__.py").is_file()]
        graph = grimp.build_graph(found[0], *found[1:], cache_dir=None)
    finally:
        sys.path.remove(str(root))
        sys.modules.update(loaded)
    # Generated stubs have no reader.
    ours = {module for module in graph.modules if not module.startswith("l3sim.v1.")}
    return {module: graph.find_modules_directly_imported_by(module) & ours for module in ours}


def plain(module: str) -> str:
    """A module's name without the package that everything is in since there is one."""
    rest = module.removeprefix("l3sim.")
    return rest if rest.split(".")[0] in PACKAGES else module


def orchestrator_room(module: str) -> str:
    """What lies directly in `orchestrator/`: a file or a folder; "" for what lies elsewhere."""
    parts = plain(module).split(".")
    return parts[1] if parts[0] == "orchestrator" and len(parts) > 1 else ""


def engine_room(module: str) -> str:
    """What lies in `orchestrator/` two levels deep; "" for what lies elsewhere."""
    parts = plain(module).split(".")
    return ".".join(parts[1:3]) if parts[0] == "orchestrator" and len(parts) > 1 else ""


def house_room(module: str) -> str:
    """What lies directly in `l3sim/`, or lay beside it; "" for the package itself and its entry."""
    parts = plain(module).split(".")
    if parts[0] != "l3sim":
        return parts[0]
    return "" if parts[1:] in ([], ["__main__"]) else parts[1]


def drawn(imports: Arrows, room_of: Callable[[str], str]) -> dict[str, set[str]]:
    """Arrows between rooms; modules whose room is "" are left out."""
    arrows: dict[str, set[str]] = {}
    for module, imported in imports.items():
        if room := room_of(module):
            theirs = {room_of(one) for one in imported} - {"", room}
            arrows.setdefault(room, set()).update(theirs)
    return arrows


def circles(arrows: Arrows) -> list[set[str]]:
    """Rooms that reach each other, of which there are two or more (Tarjan)."""
    found: list[set[str]] = []
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(room: str) -> None:
        order[room] = low[room] = len(order)
        stack.append(room)
        for other in sorted(arrows.get(room, ())):
            if other not in order:
                visit(other)
                low[room] = min(low[room], low[other])
            elif other in stack:
                low[room] = min(low[room], order[other])
        if low[room] == order[room]:
            circle = set(stack[stack.index(room) :])
            del stack[stack.index(room) :]
            if len(circle) > 1:
                found.append(circle)

    for room in sorted(arrows):
        if room not in order:
            visit(room)
    return found


def upward(arrows: Arrows) -> list[tuple[str, str]]:
    """Arrows without which there is no circle; chosen one by one, so perhaps not the fewest."""
    up: list[tuple[str, str]] = []
    left = {room: set(others) for room, others in arrows.items()}
    while found := circles(left):
        (circle, *_) = found
        inside = [(room, other) for room in sorted(circle) for other in sorted(left[room] & circle)]
        # The one whose removal leaves the fewest rooms in circles; the first of equals.
        best = min(inside, key=lambda arrow: (_in_circles(left, arrow), arrow))
        left[best[0]].discard(best[1])
        up.append(best)
    return up


def _in_circles(arrows: Arrows, without: tuple[str, str]) -> int:
    less = {room: others - {without[1]} if room == without[0] else others for room, others in arrows.items()}
    return sum(map(len, circles(less)))


def measured(root: Path) -> dict[str, tuple[int, int, int, int]]:
    """Rooms, arrows, upward arrows and circles of a checkout, at each level."""
    imports = imports_of(root)
    levels = {
        "the house, opened": house_room,
        "orchestrator/, opened": orchestrator_room,
        "orchestrator/, two levels": engine_room,
        "modules of the house": plain,
    }
    return {level: _counts(drawn(imports, room_of)) for level, room_of in levels.items()}


def _counts(arrows: Arrows) -> tuple[int, int, int, int]:
    return len(arrows), sum(map(len, arrows.values())), len(upward(arrows)), len(circles(arrows))


def main(roots: Iterable[str]) -> None:
    """Print a table of the checkouts named."""
    columns = [measured(Path(root).resolve()) for root in roots] or [measured(ROOT)]
    print("| level | " + " | ".join(["rooms", "arrows", "upward", "circles"]) + " |")
    print("|---|---|---|---|---|")
    for level in columns[0]:
        numbers = zip(*(column[level] for column in columns), strict=True)
        print(f"| {level} | " + " | ".join(" -> ".join(map(str, one)) for one in numbers) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
