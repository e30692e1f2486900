"""The trace of a small case, line by line, and what must hold for any."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from l3sim.placement import layout_of
from l3sim.services.dram.command.commands import ISSUED
from l3sim.services.dram.command.kernel import Kernel, kernel_of
from l3sim.services.dram.command.result import Outcome, attend
from l3sim.services.dram.command.trace import HEAD, Line, folded, lines_of, text_of
from l3sim.specs.catalog import load_machine, load_model

GOLDEN = Path(__file__).parents[3] / "golden" / "dimm-pim-trace.txt"


def kernel(name: str = "llama-2-7b", **settings: object) -> Kernel:
    pim = msgspec.structs.replace(load_machine("l3-mini").attention, **settings)
    model = load_model(name)
    return kernel_of(pim, model, layout_of(pim, model, 1, 1))


def traced(of: Kernel, tokens: list[int]) -> tuple[Outcome, list[Line]]:
    outcome = attend(of, tokens, traced=100_000)
    return outcome, lines_of(of, outcome.program, outcome.rows, outcome.trace)


def test_a_small_case_reads_like_this() -> None:
    """Two head groups of 100 and 20 tokens on one rank; a change of the file is a decision."""
    of = kernel()
    _, lines = traced(of, [100, 20])
    text = "\n".join([HEAD, *(text_of(line, of.pim.tck_ps) for line in folded(lines))]) + "\n"
    assert text == GOLDEN.read_text()


CASES = [
    ("llama-2-7b", [100, 20], {}),
    ("llama-2-7b", [3000], {"pipelining": False, "refresh_phase": 0.5}),
    ("llama-2-70b", [130, 4100], {}),
    ("llama-2-7b", [70], {"relayout": "cpu", "host_transfer_bytes": 4096}),
    ("llama-2-7b", [70, 600], {"pu": "rank"}),
    ("llama-2-7b", [70], {"all_bank_faw": "exempt"}),
]


@pytest.mark.parametrize(("name", "tokens", "settings"), CASES)
def test_every_command_has_its_line(name: str, tokens: list[int], settings: dict[str, object]) -> None:
    of = kernel(name, **settings)
    outcome, lines = traced(of, tokens)
    issued = Counter(line.command for line in lines if line.command != "UNIT")
    assert issued == {command.name: n for command in ISSUED if (n := outcome.command(command))}
    cycles = [line.cycle for line in lines]
    assert cycles == sorted(cycles)
    assert cycles[-1] < outcome.cycles
    left = Counter(line.command for line in lines)
    for entry in folded(lines):
        left -= entry if isinstance(entry, Counter) else Counter([entry.command])
    assert not left


@pytest.mark.parametrize(("name", "tokens", "settings"), CASES)
def test_the_unit_never_does_two_things_at_once(
    name: str, tokens: list[int], settings: dict[str, object]
) -> None:
    of = kernel(name, **settings)
    outcome, lines = traced(of, tokens)
    unit = [line for line in lines if line.command == "UNIT"]
    assert unit
    for before, after in pairwise(unit):
        assert before.cycle + before.busy_tck <= after.cycle
    assert unit[-1].cycle + unit[-1].busy_tck <= outcome.cycles
    # It works on what has arrived: a burst takes CL + BL from its command.
    first = next(line.cycle for line in lines if line.command in {"PIM_RD_RB", "RD"} and line.why != "append")
    assert unit[0].cycle >= first + of.pim.cl_tck + of.pim.bl_tck


def test_lines_name_the_place_of_the_new_token() -> None:
    of = kernel()
    _, lines = traced(of, [100])
    writes = [line for line in lines if line.command == "WR"]
    block, bank, column = of.geometry.k_place(99)
    k = [line for line in writes if line.row == f"0 K {block}"]
    assert [(line.bank, line.column) for line in k] == [
        (f"g{bank % 4}.b{bank}", column + i) for i in range(of.geometry.token_columns)
    ]
    v = [line for line in writes if line.row == f"0 V {of.geometry.v_place(99, 0)[0]}"]
    assert {(line.bank, line.column) for line in v} == {
        (f"g{bank % 4}.b{bank}", of.geometry.v_place(99, bank)[2]) for bank in range(16)
    }
    assert {line.why for line in writes} == {"the new token, 99"}


def test_the_unit_stands_still_while_the_rank_refreshes() -> None:
    quiet, refreshed = (
        traced(kernel(refresh=refresh, refresh_phase=0.9), [3000])[1] for refresh in (False, True)
    )
    at = [line.cycle for line in refreshed if line.command == "REF"]
    units = [[line for line in lines if line.command == "UNIT"] for lines in (quiet, refreshed)]
    assert at[0] < units[1][-1].cycle
    rfc = kernel().pim.rfc_tck
    for before, after in zip(*units, strict=True):
        assert after.cycle - before.cycle == rfc * sum(cycle <= after.cycle for cycle in at)
