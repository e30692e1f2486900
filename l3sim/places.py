"""Where files are: the package's own data, and what this computer keeps between runs.

    in a checkout (./l3)      .l3/            state and tables, beside the code
    installed (pip)           $XDG_STATE_HOME/l3 or ~/.local/state/l3        state
                              $XDG_CACHE_HOME/l3/tables or ~/.cache/...      tables

$L3_HOME names another folder for both, with the tables in its `tables`; $L3_TABLES one for the tables alone.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

PACKAGE = Path(__file__).parent
#: Machines, models and GPUs that come with the package.
DATA = PACKAGE / "data"


def checkout() -> Path | None:
    """The repository that this package is used from; None when it is installed without one."""
    root = PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "proto").is_dir() else None


def state_folder(environment: Mapping[str, str]) -> Path:
    """Folder of the machine of `./l3 up`: its journal, logs and socket."""
    if named := environment.get("L3_HOME"):
        return Path(named)
    if (root := checkout()) is not None:
        return root / ".l3"
    return _xdg(environment, "XDG_STATE_HOME", ".local/state")


def tables_folder(environment: Mapping[str, str]) -> Path:
    """Folder of the tables that memory devices build, in this process or in those that it starts."""
    if named := environment.get("L3_TABLES"):
        return Path(named)
    if environment.get("L3_HOME") or checkout() is not None:
        return state_folder(environment) / "tables"
    return _xdg(environment, "XDG_CACHE_HOME", ".cache") / "tables"


def child_path(environment: Mapping[str, str]) -> str:
    """$PYTHONPATH with which a child process of ours imports the very code that runs here.

    That of this process as it is, wherever the package is installed, editable or not. Only where a user put
    the checkout on `sys.path` does a child need telling; all the checkout's folders are on its path, then.
    """
    inherited = environment.get("PYTHONPATH", "")
    root = str(PACKAGE.parent)
    # An editable installation finds the package by itself, without its folder on the path.
    installed = root not in sys.path or PACKAGE.is_relative_to(sys.prefix)
    if installed or root in inherited.split(os.pathsep):
        return inherited
    return os.pathsep.join(filter(None, (root, inherited)))


def _xdg(environment: Mapping[str, str], name: str, default: str) -> Path:
    base = environment.get(name) or ""
    return (Path(base) if Path(base).is_absolute() else Path.home() / default) / "l3"
