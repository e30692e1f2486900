"""Real input: both Azure traces of 2023, whole, with their arrival times; every request accounted for."""

import json

import pytest

from tests.commands import Commands
from tests.root import ROOT

TRACES = ROOT.parent / "shared" / "data" / "traces"


@pytest.mark.data
@pytest.mark.parametrize(("name", "requests"), [("conv", 19_366), ("code", 8_819)])
def test_a_whole_trace_runs_and_every_request_is_accounted_for(
    l3: Commands, name: str, requests: int
) -> None:
    trace = TRACES / f"AzureLLMInferenceTrace_{name}.csv"
    if not trace.is_file():
        pytest.skip(f"the shared data set is not here: no {trace.name} beside the repository")
    rows = [line.split(",") for line in trace.read_text().splitlines()[1:]]
    prompt, output = (sum(int(row[column]) for row in rows) for column in (1, 2))
    words = ["--machine", "l3-dgx-a100", "--model", "llama-2-70b", "--in-process", "--out", "results"]
    running = l3.start("run", str(trace), *words, "--json")
    said, complaints = running.communicate()  # longer than other commands; bounded by pytest's own time-out
    assert running.returncode == 0, complaints
    report = json.loads(said)
    assert report["requests"] == {"submitted": requests, "completed": requests, "failed": 0, "preempted": 0}
    assert (report["tokens"]["prompt"], report["tokens"]["output"]) == (prompt, output)
    assert report["invariants"] == "ok"
    assert report["workload"]["mode"] == "open"
    listed = [
        json.loads(line) for line in (l3.folder / "results" / "requests.jsonl").read_text().splitlines()
    ]
    assert [one["prompt_tokens"] for one in listed] == [int(row[1]) for row in rows]
    assert [one["output_tokens"] for one in listed] == [int(row[2]) for row in rows]
    # The machine cannot end before its last request has come.
    assert report["makespan_s"] > listed[-1]["arrival_s"] > 3400
