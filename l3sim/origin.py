"""Whose code a class is, and which: strangers' classes are told apart by what is in their files.

    ours, of `l3sim.`                            ""
    of a file, or of a module outside a package  the module's file
    of a package                                 all Python files of that package, names and contents

A class counts with every class that it builds on, ours and the standard library's apart. Where a file lies
does not count, so that the same file has the same mark in any process, on any computer.
"""

import sys
from functools import cache
from hashlib import sha256
from importlib.metadata import packages_distributions, version
from pathlib import Path
from types import ModuleType

_OURS = "l3sim"
#: Of a class without a version of its own, in no installed package.
NO_VERSION = "0"
#: Of a class that was typed in, as in a notebook.
NO_FILE = "no-file"


def is_ours(thing: object) -> bool:
    """Whether a class, or that of an object, is of this package."""
    found = thing if isinstance(thing, type) else type(thing)
    return found.__module__.partition(".")[0] == _OURS


@cache
def code_of(thing: type) -> str:
    """The first 8 hex digits of a SHA-256 of a stranger's code; "" of a class of ours.

    Read once a process, as the class is.
    """
    if is_ours(thing):
        return ""
    told = sha256()
    for name in dict.fromkeys(one.__module__ for one in thing.__mro__ if _counts(one)):
        files = _files(name)
        if not files:
            return NO_FILE
        for label, file in files:
            told.update(f"{label} {file.stat().st_size}\n".encode())
            told.update(file.read_bytes())
    return told.hexdigest()[:8]


def read(thing: type) -> None:
    """Read all that `version_of` needs, where nothing waits for it: files are not for an event loop."""
    if not is_ours(thing):
        code_of(thing)
        _package_version(thing.__module__.partition(".")[0])


def version_of(thing: type, said: str) -> str:
    """`<version>+<code>` of a stranger's device class; of one of ours, what it says.

    Args:
        said: the version that its devices describe; one that is inherited from ours is not theirs.
    """
    if is_ours(thing):
        return said
    owner = next((one for one in thing.__mro__ if "version" in vars(one)), None)
    if not said or (owner is not None and is_ours(owner) and said == vars(owner)["version"]):
        said = _package_version(thing.__module__.partition(".")[0])
    return f"{said}+{code_of(thing)}"


def _counts(one: type) -> bool:
    return not is_ours(one) and one.__module__.partition(".")[0] not in sys.stdlib_module_names


def _files(name: str) -> list[tuple[str, Path]]:
    """The files of a class's module, or of the package that it belongs to, each with its label."""
    module = sys.modules.get(name)
    if name == "__main__" and module is not None and module.__spec__ is not None:
        name = module.__spec__.name  # python -m package.module: the same code as where it is imported
    words = name.split(".")
    for length in range(1, len(words) + 1):
        folder = _folder(sys.modules.get(".".join(words[:length])))
        if folder is not None:
            return [(str(file.relative_to(folder)), file) for file in sorted(folder.rglob("*.py"))]
    file = getattr(module, "__file__", None)
    return [("", Path(file))] if file and Path(file).is_file() else []


def _folder(module: ModuleType | None) -> Path | None:
    """Of a regular package: one with `__init__.py`, which lies in one folder alone."""
    file = getattr(module, "__file__", None)
    return Path(file).parent if file and Path(file).name == "__init__.py" else None


@cache
def _package_version(top: str) -> str:
    """Of the installed package that has a top-level module."""
    packages = packages_distributions().get(top, [])
    return version(packages[0]) if packages else NO_VERSION
