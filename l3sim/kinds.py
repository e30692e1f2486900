"""Kinds of devices: which class serves a kind, ours or another's. Ours are entered as a stranger's are.

    kind of a machine file's section      its class
    cxl-pim                               entry point of an installed package, group `l3sim.devices`:
                                              cxl-pim = "their_package.their_module:TheirDevice"
    ./cxl_pim.py                          the only device class of that file
    ./cxl_pim.py:CxlDevice                the one of that name

Classes are imported when they are needed: a command that only talks to a machine waits for no model.
"""

import inspect
import sys
import tomllib
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import RLock
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import msgspec

from l3sim.errors import InvalidInput, L3Error
from l3sim.origin import is_ours, read
from l3sim.places import PACKAGE
from l3sim.registry import unknown

#: Entry points of installed packages: `kind = "module:DeviceClass"`.
GROUP = "l3sim.devices"
ROLES = ("gpu", "attention", "link")
_OURS = "l3sim"
#: Of whoever imports a class: threads that ask for one file at once run it once. A file may ask for others.
_LOADING = RLock()


class Offer(NamedTuple):
    """A package that has a kind."""

    package: str
    target: str


def is_file(kind: str) -> bool:
    """Whether a kind is said by the file that has its class."""
    return kind.endswith(".py") or ".py:" in kind


def beside(kind: str, folder: Path) -> str:
    """A kind that is said by a file, relative to a folder, with an absolute path; any other as it is."""
    if not is_file(kind):
        return kind
    file, colon, name = _split(kind)
    return f"{(folder / file).absolute()}{colon}{name}"


@cache
def offers() -> Mapping[str, tuple[Offer, ...]]:
    """Who has which kind: a kind of two packages is refused when it is asked for, not before."""
    found: dict[str, list[Offer]] = {}
    ours = _of_this_folder()
    for kind, target in ours.items():
        found.setdefault(kind, []).append(Offer(_OURS, target))
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist else "a package without a name"
        if not (ours and package == _OURS):
            found.setdefault(point.name, []).append(Offer(package, point.value))
    return MappingProxyType({kind: tuple(sorted(set(those))) for kind, those in sorted(found.items())})


def offered(kind: str) -> bool:
    """Whether a file or an installed package is said to have a kind."""
    return is_file(kind) or kind in offers()


def target_of(kind: str) -> str:
    """Where the class of a kind is: "module:Class", or a file.

    Raises:
        InvalidInput: no package offers the kind, or two packages do.
    """
    if is_file(kind):
        return kind
    those = offers().get(kind, ())
    if len(those) == 1:
        return those[0].target
    if not those:
        raise InvalidInput(("kind", unknown("kind", kind, list(offers()))))
    named = " and ".join(f"{one.package} ({one.target})" for one in those)
    raise InvalidInput(("kind", f"{kind!r} is offered by {named}; uninstall one, or say which by its file"))


def device_class(kind: str) -> Any:
    """The class of a kind; it has `kind`, `role`, and mostly `struct`, and makes devices of their identities.

    Args:
        kind: as a machine file says it, or "module:Class".

    Raises:
        InvalidInput: no package offers it or two do, it cannot be imported, or it is no device.
    """
    if ":" in kind and not is_file(kind):
        return loaded(kind)
    found = loaded(target_of(kind))
    if not is_file(kind) and found.kind != kind:
        text = f"{target_of(kind)} is entered as {kind!r}, but says that it is of kind {found.kind!r}"
        raise InvalidInput(("kind", f"{text}; give both one word"))
    return found


def loaded(target: str) -> Any:
    """The class at "module:Class", or of "file.py" or "file.py:Class"; once a process, from any thread.

    Raises:
        InvalidInput: it cannot be imported, it is no device, or it is a stranger's of a kind of ours.
    """
    with _LOADING:
        return _loaded(target)


@cache
def _loaded(target: str) -> Any:
    place, _, name = _split(target)
    if is_file(target):
        return _of_own_kind(_of_file(_imported(place), place, name), place)
    try:
        module = import_module(place)
    except (Exception, SystemExit) as error:
        raise InvalidInput(("kind", f"{target} does not import: {_reason(error, '')}")) from error
    found = getattr(module, name, None)
    if not is_device(found):
        text = "is no device class: a subclass of l3sim.ports.Device with kind and role"
        raise InvalidInput(("kind", f"{target} {text} ({', '.join(ROLES)})"))
    return _of_own_kind(found, target)


def is_device(thing: object) -> bool:
    """Whether something is a class that can serve a kind."""
    return (
        inspect.isclass(thing)
        and not inspect.isabstract(thing)
        and all(callable(getattr(thing, method, None)) for method in ("describe", "open"))
        and isinstance(getattr(thing, "kind", None), str)
        and getattr(thing, "role", None) in ROLES
    )


def _of_own_kind(found: Any, where: str) -> Any:
    """A class, unless it is a stranger's that goes by a kind of ours: reports would call it ours."""
    if is_ours(found):
        return found
    ours = {kind for kind, those in offers().items() if any(one.package == _OURS for one in those)}
    if found.kind in ours:
        text = f"{where}: {found.__name__} says that it is of kind {found.kind!r}, which is ours"
        raise InvalidInput(("kind", f"{text}; give it a kind of its own"))
    read(found)
    return found


def _of_file(module: ModuleType, file: str, name: str) -> Any:
    """The device class of a file."""
    there = {
        word: thing
        for word, thing in vars(module).items()
        if is_device(thing) and thing.__module__ == module.__name__
    }
    if name:
        if name not in there:
            text = f"{file} has no device class {name!r} (there are: {', '.join(there) or 'none'})"
            raise InvalidInput(("kind", text))
        return there[name]
    if len(there) == 1:
        return next(iter(there.values()))
    if there:
        text = f"{file} has several device classes ({', '.join(there)}); name one: {Path(file).name}:CLASS"
        raise InvalidInput(("kind", text))
    text = f"{file} has no device class: a subclass of l3sim.ports.Device with kind and role"
    raise InvalidInput(("kind", f"{text} ({', '.join(ROLES)})"))


@cache
def _imported(file: str) -> ModuleType:
    """A file as a module. It may import what lies beside it, where nothing installed has that name."""
    path = Path(file).absolute()
    if not path.is_file():
        raise InvalidInput(("kind", f"no file {file!r}"))
    name = f"l3_device_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise InvalidInput(("kind", f"{file} does not import: {_reason(error, str(path))}")) from error
    return module


def made(found: Callable[[Any], Any], identities: Sequence[Any]) -> Any:
    """Devices of a class, whoever wrote it.

    Raises:
        InvalidInput: the class cannot make them; names its file.
    """
    try:
        return found(identities)
    except L3Error:
        raise
    except (Exception, SystemExit) as error:
        text = f"{getattr(found, 'kind', 'it')!r} cannot make its devices: {reason(error, found)}"
        raise InvalidInput(("kind", text)) from error


def reason(error: BaseException, thing: object) -> str:
    """Why the code of a class, or of an object's, failed, in one line; of a stranger's, with its file."""
    found = thing if inspect.isclass(thing) else type(thing)
    if isinstance(error, msgspec.ValidationError):
        # What a struct's `__post_init__` raises of itself is in its text.
        return " ".join(str(error).split())
    file = "" if is_ours(found) else str(getattr(sys.modules.get(found.__module__), "__file__", None) or "")
    return f"{file}: {_reason(error, file)}" if file else _reason(error, file)


def _reason(error: BaseException, file: str) -> str:
    """Why something does not import, in one line, with the line of `file` where it stopped."""
    text = " ".join(str(error).split())
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    where = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {text}{where}"


def _of_this_folder() -> Mapping[str, str]:
    """Ours, where this package is not installed but lies in its repository or image."""
    file = PACKAGE.parent / "pyproject.toml"
    if not file.is_file():
        return {}
    project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    if project.get("name") != _OURS:
        return {}
    found: dict[str, str] = project["entry-points"][GROUP]
    return found


def _split(target: str) -> tuple[str, str, str]:
    """("module" or "file.py", ":" or "", "Class" or "")."""
    if target.endswith(".py"):
        return target, "", ""
    place, colon, name = target.rpartition(":")
    return (place, colon, name) if colon else (target, "", "")
