"""Tables on disk, by the digest of what they depend on, so that each is built once on a computer.

The folder is $L3_TABLES, else that of `l3sim.places`. A process that misses a table takes a lock,
looks again, and builds it: in this process where the compiler is loaded already, else in a process of its
own, so that device processes stay small.

    DIGEST.npz    the table        DIGEST.lock    held while it is built
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import msgspec
import numpy as np

from l3sim.errors import NotReady
from l3sim.places import child_path, tables_folder
from l3sim.services.dram.command.geometry import Geometry
from l3sim.services.dram.command.grouped import GroupedGeometry, GroupedKernel
from l3sim.services.dram.command.kernel import Kernel
from l3sim.services.dram.fast.table import AttendTable
from l3sim.specs.dimm_pim import DimmPimConfig
from l3sim.specs.rank import PseudoChannelConfig, RankConfig

#: Kernels as JSON say which of these their rank is.
_RANKS: dict[str, type[RankConfig]] = {
    struct.__name__: struct for struct in (DimmPimConfig, PseudoChannelConfig)
}
#: Arrays of a table's file, and what stands before the names of those of `AttendTable.alone`.
_ARRAYS, _ALONE = ("base", "slope", "segment", "saving", "append", "refresh"), "alone-"
#: What a table depends on of a rank; currents, capacities and counts of modules are elsewhere.
_READ = frozenset({*RankConfig.__struct_fields__, *PseudoChannelConfig.__struct_fields__})


def folder() -> Path:
    """Where tables are."""
    return tables_folder(os.environ)


@lru_cache(maxsize=64)
def table_of(kernel: Kernel) -> AttendTable:
    """The table of a kernel, built if this computer has none.

    Raises:
        NotReady: it cannot be built or kept.
    """
    path = folder() / f"{digest(kernel)}.npz"
    if not path.exists():
        with _locked(path.with_suffix(".lock")):
            if not path.exists():
                _build(kernel, path)
    return load(path)


def digest(kernel: Kernel) -> str:
    """Of everything that a table depends on, the code that makes it included; 16 hex digits."""
    pim = {key: value for key, value in msgspec.to_builtins(kernel.pim).items() if key in _READ}
    return hashlib.sha256(_json(kernel, pim) + _sources()).hexdigest()[:16]


def save(path: Path, table: AttendTable) -> None:
    """Write a table; it appears whole or not at all."""
    part = path.with_suffix(f".{os.getpid()}.part")
    arrays = _arrays(table, "")
    if table.alone is not None:
        arrays |= _arrays(table.alone, _ALONE)
    with part.open("wb") as file:
        np.savez(file, **arrays)
    part.rename(path)


def _arrays(table: AttendTable, prefix: str) -> dict[str, Any]:
    scalars = np.array([table.segment_tokens, table.refi_tck, table.phase_tck], dtype=np.int64)
    named = {name: getattr(table, name) for name in _ARRAYS} | {"scalars": scalars}
    return {prefix + name: value for name, value in named.items()}


def load(path: Path) -> AttendTable:
    """Read a table.

    Raises:
        NotReady: the file is damaged.
    """
    try:
        return _read(path)
    except (BadZipFile, EOFError, KeyError, ValueError) as error:
        raise NotReady(f"{path} is no table of level fast ({error}); delete it") from None


def _read(path: Path) -> AttendTable:
    with path.open("rb") as opened, np.load(opened) as file:
        alone = _table(file, _ALONE, None) if f"{_ALONE}scalars" in file else None
        return _table(file, "", alone)


def _table(file: Mapping[str, Any], prefix: str, alone: AttendTable | None) -> AttendTable:
    segment_tokens, refi_tck, phase_tck = (int(value) for value in file[f"{prefix}scalars"])
    arrays = {name: file[prefix + name] for name in _ARRAYS}
    return AttendTable(
        **arrays, segment_tokens=segment_tokens, refi_tck=refi_tck, phase_tck=phase_tck, alone=alone
    )


def kernel_from(raw: bytes) -> Kernel:
    """The kernel that `whole_kernel` wrote."""
    whole = json.loads(raw)
    pim = msgspec.convert(whole["pim"], _RANKS[whole["rank"]])
    if "stack_ids" in whole["at"]:
        return GroupedKernel(pim, GroupedGeometry(**whole["at"]), whole["queries_per_read"])
    return Kernel(pim, Geometry(**whole["at"]), whole["queries_per_read"])


def whole_kernel(kernel: Kernel) -> bytes:
    """A kernel as JSON, for another process to read."""
    return _json(kernel, msgspec.to_builtins(kernel.pim))


def _json(kernel: Kernel, pim: dict[str, object]) -> bytes:
    at = {name: getattr(kernel.geometry, name) for name in type(kernel.geometry).__dataclass_fields__}
    rank = type(kernel.pim).__name__
    whole = {"rank": rank, "pim": pim, "at": at, "queries_per_read": kernel.queries_per_read}
    return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()


def _build(kernel: Kernel, path: Path) -> None:
    if "numba" in sys.modules:
        from l3sim.services.dram.fast.build import build

        save(path, build(kernel))
        return
    command = [sys.executable, "-P", "-m", "l3sim.services.dram.fast.build", str(path)]
    environment = {**os.environ, "PYTHONPATH": child_path(os.environ)}
    done = subprocess.run(
        command, input=whole_kernel(kernel), capture_output=True, check=False, env=environment
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise NotReady(f"cannot build the table of level fast: {lines[-1]}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file among the processes of this computer."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        text = f"cannot keep tables of level fast in {path.parent}: {error.strerror}"
        raise NotReady(f"{text}; set L3_TABLES to a folder of yours") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@lru_cache(maxsize=1)
def _sources() -> bytes:
    """The code that tables come from."""
    here = Path(__file__).parent
    made_by = [here / name for name in ("build.py", "build_grouped.py", "table.py")]
    files = [*sorted((here.parent / "command").glob("*.py")), *made_by]
    return b"".join(file.read_bytes() for file in files)
