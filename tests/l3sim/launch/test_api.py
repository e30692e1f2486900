"""`l3sim.run` and `l3sim.compare`: the commands, for Python."""

import asyncio
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import l3sim
import l3sim.launch.cli
from l3sim.clients.cli import main
from l3sim.clients.job_spec import OPTIONS
from l3sim.errors import InvalidInput, L3Error, NotReady, OutOfRoom
from l3sim.launch import api
from l3sim.launch.compare import jobs
from l3sim.testing.builders import small_model

SMALL: dict[str, Any] = {"machine": "l3-mini", "requests": 4}


def without_exchange(report: l3sim.Report) -> dict[str, Any]:
    return {**report.to_dict(), "exchange": None}


def test_it_is_what_the_command_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "fixed:64:8", "--machine", "l3-mini", "--requests", "4", "--in-process", "--spans", "2"]
    words += ["--set", "link.overlap=off", "--override", "dimm-02.ccd_l_tck=16", "--slo", "ttft_s:2"]
    assert main([*words, "--json", "--out", str(tmp_path)]) == 0
    expected = json.loads(capsys.readouterr().out) | {"exchange": None}
    result = l3sim.run(
        "fixed:64:8",
        **SMALL,
        settings={"link.overlap": "off"},
        overrides={"dimm-02.ccd_l_tck": 16},
        spans=2,
        slo={"ttft_s": 2.0},
    )
    assert without_exchange(result.report) == expected
    assert {name: (tmp_path / name).read_bytes() for name in result.artifacts} == result.artifacts
    assert len(result.requests) == 4
    assert {span["round"] for span in result.spans} == {0, 1}


def test_nothing_is_loaded_where_a_loop_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def seen(call: Callable[..., Any]) -> Callable[..., Any]:
        def apart(*args: Any, **keywords: Any) -> Any:
            with pytest.raises(RuntimeError, match="no running event loop"):
                asyncio.get_running_loop()
            return call(*args, **keywords)

        return apart

    for module, names in ((api, ("load_machine", "resolve", "devices_of")), (jobs, ("devices_of",))):
        for name in names:
            monkeypatch.setattr(module, name, seen(getattr(module, name)))
    assert l3sim.run("fixed:64:8", **SMALL).report.invariants == "ok"
    assert len(l3sim.compare("fixed:64:8", ["l3-mini"], requests=4)) == 1


async def test_it_blocks_also_where_a_loop_runs_already() -> None:
    assert l3sim.run("fixed:64:8", **SMALL).report.invariants == "ok"


def test_processes_give_the_same() -> None:
    here = l3sim.run("fixed:64:8", **SMALL)
    apart = l3sim.run("fixed:64:8", **SMALL, in_process=False, modules_per_process=2)
    assert (here.report.exchange.transport, apart.report.exchange.transport) == ("in-process", "grpc")
    assert without_exchange(apart.report) == without_exchange(here.report)
    assert apart.artifacts == here.artifacts


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"machine": "l3-min"}, "machine: unknown machine 'l3-min'; did you mean 'l3-mini'?"),
        ({"polciy": "l3"}, "polciy: unknown option 'polciy'; did you mean 'policy'?"),
        ({"requests": 0}, "--requests: must be 1 to 10000000, got 0"),
        ({"settings": {"attention": 1}}, "--set: must be slot.key=value, got 'attention=1'"),
        ({"overrides": {"dimm-09.ccd_l_tck": 1}, "machine": "l3-mini"}, "override: unknown slot 'dimm-09'"),
        ({"policy": "l4", "machine": "l3-mini"}, "policy: unknown policy 'l4' (there are: adaptive, "),
        (
            {"in_process": False, "overrides": {"gpu.x": 1}, "machine": "l3-mini"},
            "gpu.x: unknown key 'x'",
        ),
        ({"modules_per_process": 2}, "modules_per_process: is for processes; set in_process=False"),
        (
            {"modules_per_process": 0, "in_process": False},
            "modules_per_process: must be a whole number from 1 to 4096, got",
        ),
    ],
)
def test_refusals_are_one_line(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        l3sim.run("fixed:64:8", **options)
    assert str(refused.value).startswith(text)
    assert "\n" not in str(refused.value)


def test_settings_are_values_of_python() -> None:
    settings = {"host.schedule_us": 0.0, "attention.n_hc": None, "attention.level": "roofline"}
    config = l3sim.run("fixed:64:8", **SMALL, settings=settings).config
    assert config["settings"] == ["host.schedule_us=0.0", "attention.n_hc=null", "attention.level=roofline"]


def test_files_are_named_by_text_or_path(tmp_path: Path) -> None:
    machine, trace = tmp_path / "mine.yaml", tmp_path / "mine.csv"
    machine.write_text("extends: l3-mini\nname: mine\ndescription: of a path\n")
    trace.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.000000,32,4\n")
    by_path, by_text = (l3sim.run(kind(trace), machine=kind(machine)) for kind in (Path, str))
    assert by_path.report.job == by_text.report.job
    assert by_path.report.requests.completed == 1
    assert [one.machine for one in l3sim.compare(trace, [machine])] == ["mine"]


def test_a_comparison_has_rows_reports_and_reasons() -> None:
    found = l3sim.compare("fixed:64:8", ["l3-mini", "l3-dgx-a100", "nowhere"], requests=4, policy="auto")
    assert [row["machine"] for row in found.rows] == ["l3-mini", "l3-dgx-a100", "nowhere"]
    assert found.rows[0]["throughput_tokens_per_s_ratio"] == 1.0
    report = found["l3-mini"].report
    assert report is not None
    assert without_exchange(report) == without_exchange(l3sim.run("fixed:64:8", **SMALL).report)
    assert found["nowhere"].refused.startswith("machine: unknown machine 'nowhere'")
    assert found.to_dict()["machines"][0]["report"]["job"] == report.job
    assert len(found) == len(list(found)) == 3
    lines = str(found).splitlines()
    assert lines[1].startswith("l3-mini")
    assert lines[-1].startswith("nowhere refused: machine: unknown machine")
    with pytest.raises(KeyError):
        found["l3-max"]


@pytest.mark.parametrize(
    ("machines", "options", "text"),
    [
        ([], {}, r"machines: must be a list of machines, got \[\]"),
        ("l3-mini", {}, "machines: must be a list of machines, got 'l3-mini'"),
        (["l3-mini"], {"spans": 1}, "--spans: compare keeps no spans; use run"),
        (["l3-mini"], {"model": small_model(), "tp": 2}, "l3-mini: tp: must be 1 to 1"),
    ],
)
def test_comparisons_refused(machines: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{text}"):
        l3sim.compare("fixed:64:8", machines, **options)


@pytest.mark.parametrize("kind", [NotReady, OutOfRoom, L3Error])
def test_what_every_machine_fails_with_keeps_its_class(
    kind: type[L3Error], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(job: Any, devices: Any) -> Any:
        raise kind("too little")

    monkeypatch.setattr("l3sim.launch.compare.jobs.run_quietly", fails)
    with pytest.raises(L3Error) as raised:
        l3sim.compare("fixed:64:8", ["l3-mini"], requests=4)
    assert (type(raised.value), str(raised.value)) == (kind, "l3-mini: too little")


def test_a_refusal_by_a_process_keeps_its_fields() -> None:
    with pytest.raises(InvalidInput) as refused:
        l3sim.compare("fixed:64:8", ["l3-mini", "nowhere"], model=small_model(), tp=2, requests=4, workers=2)
    assert [field for field, _ in refused.value.violations] == ["tp"]


@pytest.mark.parametrize("call", [l3sim.run, l3sim.compare])
def test_help_names_every_option_of_a_job(call: Any) -> None:
    parameters = inspect.signature(call).parameters
    assert OPTIONS.keys() <= parameters.keys()
    assert all(one.kind is not inspect.Parameter.VAR_KEYWORD for one in parameters.values())
