"""Tables on disk: one digest for what changes no cycle, whole files or none, built once a computer."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from l3sim.errors import NotReady
from l3sim.services.dram.command.columns import cycles_of
from l3sim.services.dram.command.result import attend
from l3sim.services.dram.fast import table_cache
from l3sim.services.dram.fast.build import build
from l3sim.services.dram.fast.table import AttendTable
from l3sim.specs.dimm_pim import DimmPimConfig
from tests.services.dram.command.kernels import kernel, pim_of

#: Another value of each key that is no number, or whose neighbour the kernel refuses.
OTHER: dict[str, Any] = {
    "kind": "dimm-pim",
    "level": "command",
    "capacity_bytes": 2**40,
    "memory_share": 0.5,
    "ranksets": 2,
    "n_hc": 2,
    "n_cmr": 2,
    "kv_block_tokens": 64,
    "partition": "block",
    "stripe_tokens": 1024,
    "pu": "rank",
    "pipelining": False,
    "overlap_heads": False,
    "relayout": "cpu",
    "all_bank_faw": "exempt",
    "host_transfer_bytes": 640,
    "refresh": False,
    "refresh_phase": 0.5,
    "check_fidelity": 0.5,
    "column_core_share": 0.5,
    "bank_groups": 8,
    "banks_per_chip": 8,
    "chips_per_rank": 16,
    "column_bytes": 16,
    "row_bytes": 512,
    "result_bytes": 2,
    "result_buffer_bytes": 256,
    "shared_buffer_bytes": 4096,
    "chunk_tokens": 32,
    "score_buffer_bytes": 2**16,
}
#: Calls that each key which matters changes: one token, several head groups, refreshes, more than a segment.
CALLS = ([1], [70, 3, 40], [900], [4500], [600, 600, 600])


@pytest.mark.parametrize("key", DimmPimConfig.__struct_fields__)
def test_a_digest_changes_with_what_changes_a_cycle(key: str) -> None:
    value = OTHER.get(key, getattr(pim_of(), key))
    if key not in OTHER and key != "silicon":  # which is areas: no cycle depends on them
        value = value * 2 + 1 if isinstance(value, int) else value * 0.4
    one, other = kernel(8), kernel(8, **{key: value})
    moved = any(
        attend(one, tokens).values.tolist() != attend(other, tokens).values.tolist() for tokens in CALLS
    )
    if moved:
        assert table_cache.digest(one) != table_cache.digest(other)
    elif key in ELSEWHERE:
        assert table_cache.digest(one) == table_cache.digest(other)


#: What an energy, a place, a rate of another level or a switch of the job is: no table depends on it.
ELSEWHERE = {
    *("kind", "level", "modules", "modules_per_channel", "ranks_per_module", "rank_capacity_bytes"),
    *(
        "partition",
        "stripe_tokens",
        "capacity_bytes",
        "memory_share",
        "ranksets",
        "check_fidelity",
        "pass_overhead_ns",
        "rank_active_w",
    ),
    *("module_idle_w", "vdd_v", "idd0_ma", "idd2n_ma", "idd3n_ma", "idd4r_ma", "idd4w_ma", "idd5b_ma"),
    *("mac_pj", "column_core_share", "io_pj_per_bit", "adder_pj", "softmax_pj"),
}


def test_kind_is_part_of_every_digest_or_of_none() -> None:
    # A kernel is the same whether N_hc was asked for or is the bound's.
    assert table_cache.digest(kernel(8)) == table_cache.digest(kernel(8, n_hc=1))
    assert table_cache.digest(kernel(8)) != table_cache.digest(kernel(4, n_hc=1))
    assert len(table_cache.digest(kernel(8))) == 16


def test_a_kernel_survives_json() -> None:
    one = kernel(8, refresh_phase=0.25, relayout="cpu")
    assert table_cache.kernel_from(table_cache.whole_kernel(one)) == one
    assert msgspec.json.decode(table_cache.whole_kernel(one))["queries_per_read"] == 8


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("L3_TABLES", str(tmp_path / "tables"))
    table_cache.table_of.cache_clear()
    return tmp_path / "tables"


def same(one: AttendTable, other: AttendTable) -> bool:
    names = AttendTable.__dataclass_fields__
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_a_table_is_built_once_and_read_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = kernel(8)
    made = table_cache.table_of(of)
    assert same(made, build(of))
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{table_cache.digest(of)}.lock",
        f"{table_cache.digest(of)}.npz",
    ]
    monkeypatch.setattr(table_cache, "_build", None)  # it would be called
    table_cache.table_of.cache_clear()
    assert same(table_cache.table_of(of), made)


def test_a_half_written_table_is_not_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = kernel(8)
    path = folder / f"{table_cache.digest(of)}.npz"

    def torn(file: Any, **_: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", torn)
        with pytest.raises(OSError, match="No space left on device"):
            table_cache.table_of(of)
    assert not path.exists()
    assert cycles_of(table_cache.table_of(of).base)[1] > 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o500)
    monkeypatch.setenv("L3_TABLES", str(tmp_path / "tables"))
    table_cache.table_of.cache_clear()
    with pytest.raises(NotReady, match=r"cannot keep tables of level fast in .*: Permission denied"):
        table_cache.table_of(kernel(8))


def test_a_file_where_the_folder_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tables").write_text("")
    monkeypatch.setenv("L3_TABLES", str(tmp_path / "tables"))
    table_cache.table_of.cache_clear()
    with pytest.raises(NotReady) as told:
        table_cache.table_of(kernel(8))
    assert str(told.value) == (
        f"cannot keep tables of level fast in {tmp_path / 'tables'}: File exists; "
        "set L3_TABLES to a folder of yours"
    )


#: A device process that wants a table: it counts those that it has built, and says whether it has a compiler.
WANTS = """
import sys
from pathlib import Path
from l3sim.services.dram.fast import table_cache
build = table_cache._build
def counted(kernel, path):
    with Path(sys.argv[1]).open("a") as file:
        file.write("built\\n")
    build(kernel, path)
table_cache._build = counted
table = table_cache.table_of(table_cache.kernel_from(sys.stdin.buffer.read()))
print(table.base.sum(), sorted({"numba", "llvmlite"} & set(sys.modules)))
"""


def test_two_processes_build_one_table_and_load_no_compiler(folder: Path, tmp_path: Path) -> None:
    of, counter = kernel(8), tmp_path / "built"
    wanting = [
        subprocess.Popen(
            [sys.executable, "-c", WANTS, str(counter)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    said = []
    for process in wanting:  # both have begun before either is told what it wants
        assert process.stdin is not None
        process.stdin.write(table_cache.whole_kernel(of))
        process.stdin.close()
    for process in wanting:
        assert process.stdout is not None
        said.append(process.stdout.read().decode())
        process.stdout.close()
        assert process.wait() == 0
    assert counter.read_text() == "built\n"
    assert said == [f"{build(of).base.sum()} []\n"] * 2


def test_a_build_that_fails_says_why(folder: Path) -> None:
    code = (
        "import sys; from l3sim.services.dram.fast import table_cache\n"
        "try: table_cache.table_of(table_cache.kernel_from(sys.stdin.buffer.read()))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=table_cache.whole_kernel(kernel(8, refi_tck=100)),
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode() == (
        "NotReady cannot build the table of level fast: "
        "ValueError: refreshing takes 560 of every 100 tCK; nothing else would run\n"
    )
    assert [path.suffix for path in folder.iterdir()] == [".lock"]


@pytest.mark.parametrize("keep", [0, 30, -40])
def test_a_damaged_table_is_refused_by_its_path(folder: Path, keep: int) -> None:
    of = kernel(8)
    path = folder / f"{table_cache.digest(of)}.npz"
    whole = table_cache.table_of(of)
    path.write_bytes(path.read_bytes()[:keep])
    table_cache.table_of.cache_clear()
    with pytest.raises(NotReady) as told:
        table_cache.table_of(of)
    assert str(told.value).startswith(f"{path} is no table of level fast (")
    assert str(told.value).endswith("; delete it")
    path.unlink()
    assert same(table_cache.table_of(of), whole)
