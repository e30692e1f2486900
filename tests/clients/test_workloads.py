from pathlib import Path

import pytest

from l3sim.clients.workloads import workload_spec
from l3sim.errors import InvalidInput

ROWS = "TIMESTAMP,ContextTokens,GeneratedTokens\n0,1,2\n1,3,4\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_name_is_drawn_by_the_machine() -> None:
    spec = workload_spec("openr1")
    assert (spec.name, spec.count, spec.listed, spec.speed) == ("openr1", 1000, None, 1.0)
    spec = workload_spec("fixed:128:256", requests=7, rate=2.5)
    assert (spec.name, spec.count, spec.rate) == ("fixed:128:256", 7, 2.5)


def test_a_file_is_read_here(folder: Path) -> None:
    (folder / "t.csv").write_text(ROWS)
    for argument in ("t.csv", "./t.csv", str(folder / "t.csv")):
        spec = workload_spec(argument, concurrency=3, speed=2.0)
        assert (spec.name, spec.count, spec.concurrency, spec.speed) == ("t.csv", None, 3, 2.0)
        assert spec.listed is not None
        assert spec.listed.prompt.tolist() == [1, 3]


def test_what_exists_is_a_file_whatever_its_name(folder: Path) -> None:
    (folder / "monday").write_text(ROWS)
    assert workload_spec("monday").listed is not None


def test_a_published_name_wins_over_a_file_but_a_path_does_not(folder: Path) -> None:
    (folder / "openr1").write_text(ROWS)
    assert workload_spec("openr1").listed is None
    assert workload_spec("./openr1").listed is not None


THERE_ARE = (
    "(there are: NAME:max=TOKENS, dolphin, dolphin-short, fixed:A..B:C..D, fixed:IN:OUT, openr1, "
    "openthoughts); or give a trace file"
)
TOKENS = (
    "must be fixed:IN:OUT with whole numbers of tokens from 1 to 100000000, or ranges of them like 64..4096"
)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("openr2", f"workload: unknown workload 'openr2'; did you mean 'openr1'? {THERE_ARE}"),
        ("fixed:0:5", f"workload: 'fixed:0:5' {TOKENS}"),
        ("fixed:-1:5", f"workload: 'fixed:-1:5' {TOKENS}"),
        ("fixed:1:x", f"workload: 'fixed:1:x' {TOKENS}"),
        ("fixed:1", f"workload: 'fixed:1' {TOKENS}"),
        ("fixed:1:999999999", f"workload: 'fixed:1:999999999' {TOKENS}"),
        ("absent.csv", "workload: no trace file 'absent.csv'"),
        ("absent.JSONL", "workload: no trace file 'absent.JSONL'"),
        ("some/where", "workload: no trace file 'some/where'"),
        (".", "workload: '.' is a folder, not a trace file"),
        (
            "",
            "workload: is empty; give dolphin, dolphin-short, openr1, openthoughts, fixed:IN:OUT"
            " or a trace file",
        ),
    ],
)
@pytest.mark.usefixtures("folder")
def test_refused(argument: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        workload_spec(argument)
    assert str(caught.value) == message


def test_open_and_closed_loop_exclude_each_other() -> None:
    with pytest.raises(InvalidInput) as caught:
        workload_spec("openr1", rate=1.0, concurrency=4)
    assert str(caught.value) == "workload: --rate (open loop) excludes --concurrency (closed loop); keep one"


def test_a_speed_that_stretches_a_trace_out_of_the_clock(folder: Path) -> None:
    (folder / "t.csv").write_text(ROWS)
    assert workload_spec("t.csv", speed=1e-6).speed == 1e-6
    assert workload_spec("t.csv", speed=1e-7, rate=1.0).speed == 1e-7  # its own times do not matter then
    with pytest.raises(InvalidInput) as caught:
        workload_spec("t.csv", speed=1e-7)
    assert str(caught.value) == "--speed: 1e-07 stretches t.csv beyond 1000000 s; use a larger one"
