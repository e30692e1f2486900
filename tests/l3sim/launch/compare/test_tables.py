"""A comparison of reports that no job wrote."""

import io

from msgspec.structs import replace
from rich.console import Console

from l3sim.launch.compare.jobs import Compared
from l3sim.launch.compare.tables import csv_of, readings_of, rows_of, table_of
from l3sim.reports.sections import Distribution
from tests.reports import golden


def shown(*outcomes: Compared) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=160)
    console.print(table_of(outcomes))
    assert isinstance(console.file, io.StringIO)
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_ratios_are_to_the_first_machine_that_ran() -> None:
    first, second = golden(), golden(throughput_tokens_per_s=1027.155)
    refused = Compared("c", "l3", refused="no room")
    rows = rows_of([refused, Compared("a", "l3", first), Compared("b", "l3", second)])
    assert [row["throughput_tokens_per_s_ratio"] for row in rows] == [None, 1.0, 0.5]
    assert [row["refused"] for row in rows] == ["no room", None, None]
    assert rows[1]["energy_j_per_token"] == 4000000.0 / 2536187


def test_requests_of_one_token_have_no_time_between_tokens() -> None:
    none = replace(golden().tbt_s, **dict.fromkeys(Distribution.__struct_fields__))
    outcomes = [Compared("a", "l3", golden(tbt_s=none)), Compared("b", "l3", golden())]
    rows = shown(*outcomes)
    # The machine, its spread, two cells with ratios, then the one that nothing was counted for.
    assert rows[1][1] == "8x1"
    assert rows[1][6] == "-"
    assert rows[2][6] == "62"
    assert len(csv_of(outcomes).splitlines()) == 3


def test_machines_are_told_by_their_reading_of_tfaw() -> None:
    outcomes = [
        Compared("a", "l3", golden(), all_bank_faw="exempt"),
        Compared("b", "l3", golden(), all_bank_faw="obey"),
        Compared("c", "l3", golden(), all_bank_faw="exempt"),
        Compared("gpus", "chunked", golden()),
    ]
    told = "tFAW where all banks open at once (attention.all_bank_faw): left out by a, c; obeyed by b"
    assert readings_of(outcomes) == told
    assert [row["all_bank_faw"] for row in rows_of(outcomes)] == ["exempt", "obey", "exempt", None]
    assert readings_of(outcomes[3:]) == ""
