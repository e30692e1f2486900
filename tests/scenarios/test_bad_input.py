"""Bad input, a row each: one line that says what and where, exit code 2, and never a job.

Everything goes through the command line as people call it; what the client cannot know is refused by a real
machine of processes, of one GPU and four modules.
"""

import os
from collections.abc import Iterator

import pytest

from l3sim.launch.cli import entry
from l3sim.specs.catalog import machine_names
from l3sim.specs.hugging_face.families import READERS
from tests.commands import Commands
from tests.scenarios.bad_files import FILES
from tests.scenarios.bad_keys import KEYS

MACHINES = ", ".join(machine_names())
FIXED = (
    "must be fixed:IN:OUT with whole numbers of tokens from 1 to 100000000, or ranges of them like 64..4096"
)
COUNT = "must be a whole number from 1 to 10000000, got"
TOKENS = "must be a whole number from 1 to 100000000, got"
MODELS = "gpt-175b, llama-2-70b, llama-2-7b, opt-66b, qwen-72b"
BIG = (
    "model: gpt-175b needs 349.2 GB of weights, 1 GPU(s) of l3-mini hold 80.7 GB; "
    "use more GPUs a replica (--tp) or a smaller model"
)
ROOM = "tokens of KV, an empty replica of l3-mini holds 524288"
LATE = "is before the one above it; sort the trace by time"
STAMP = "must be a time like 2023-11-16 18:17:03.9799600 or seconds like 12.5, got"
NAMES = (
    "(there are: NAME:max=TOKENS, dolphin, dolphin-short, fixed:A..B:C..D, fixed:IN:OUT, openr1, "
    "openthoughts); or give a trace file"
)

#: (command, text after "l3: error: ").
ROWS: list[tuple[str, str]] = [
    # Unknown names.
    ("submit openr2", f"workload: unknown workload 'openr2'; did you mean 'openr1'? {NAMES}"),
    ("submit fixed:16:8 --model gpt", f"model: unknown model 'gpt' (there are: {MODELS})"),
    ("submit fixed:16:8 --model gpt.yaml", "model: no file 'gpt.yaml'"),
    (
        "submit fixed:16:8 --policy best",
        "policy: unknown policy 'best' (there are: adaptive, chunked, fill, l3, serial, static)",
    ),
    (
        "run fixed:16:8 --machine l4",
        f"machine: unknown machine 'l4' (there are: {', '.join(machine_names())})",
    ),
    ("run fixed:16:8 --machine l4.yaml", "machine: no file 'l4.yaml'"),
    ("submit no.csv", "workload: no trace file 'no.csv'"),
    ("watch job-000099", "no job job-000099; `l3 jobs` lists those that exist"),
    # Sizes: negative, zero, not a number, absurd.
    ("submit fixed:16", f"workload: 'fixed:16' {FIXED}"),
    ("submit fixed:16:-8", f"workload: 'fixed:16:-8' {FIXED}"),
    ("submit fixed:0:8", f"workload: 'fixed:0:8' {FIXED}"),
    ("submit fixed:1.5:8", f"workload: 'fixed:1.5:8' {FIXED}"),
    ("submit fixed:16:99999999999", f"workload: 'fixed:16:99999999999' {FIXED}"),
    ("submit fixed:16:8 --requests 0", f"--requests: {COUNT} '0'"),
    ("submit fixed:16:8 --requests -1", f"--requests: {COUNT} '-1'"),
    ("submit fixed:16:8 --requests many", f"--requests: {COUNT} 'many'"),
    ("submit fixed:16:8 --requests 99999999999", f"--requests: {COUNT} '99999999999'"),
    ("submit fixed:16:8 --concurrency 0", f"--concurrency: {COUNT} '0'"),
    (
        "submit fixed:16:8 --rate nan",
        "--rate: must be a number above 0 and at most 1e+09 requests a second, got 'nan'",
    ),
    (
        "submit fixed:16:8 --rate 1 --concurrency 2",
        "workload: --rate (open loop) excludes --concurrency (closed loop); keep one",
    ),
    (
        "submit fixed:16:8 --max-window 0",
        "--max-window: must be a whole number from 1 to 1000000000, got '0'",
    ),
    (
        "run fixed:16:8 --modules-per-process 0",
        "--modules-per-process: must be a whole number from 1 to 4096, got '0'",
    ),
    ("submit fixed:16:8 --tp 2", "tp: must be 1 to 1 (the machine's GPUs), got 2"),
    # Objectives and priorities.
    (
        "submit fixed:16:8 --slo ttft_s:0.00001",
        "slo.ttft_s: 1e-05 s is impossible: the host's stages alone take 7e-05 s",
    ),
    ("submit fixed:16:8 --slo tbt_s", "--slo: must be a list like name:number,name:number, got 'tbt_s'"),
    (
        "submit fixed:16:8 --priorities 10:1",
        "--priorities: a priority must be 0 to 9, got 10",
    ),
    ("submit high.jsonl", "high.jsonl:1: priority must be a whole number from 0 to 9, got 12"),
    (
        "submit fixed:16:8 --cv 2",
        "--cv: needs --rate: it says how bursty an open loop's arrivals are",
    ),
    (
        "submit fixed:16:8 --policy l3 --set scheduler.selection=all --set scheduler.step=3",
        "scheduler.step: contradicts scheduler.selection=all; set one of them",
    ),
    # What no empty machine can hold.
    ("submit fixed:60000000:8", f"workload.requests[0]: line 1: needs 60000007 {ROOM}"),
    ("submit long.csv", f"workload.requests[1]: line 3: needs 3999999 {ROOM}"),
    (
        "run fixed:60000000:8 --machine l3-mini --in-process",
        f"workload.requests[0]: line 1: needs 60000007 {ROOM}",
    ),
    ("submit fixed:16:8 --model gpt-175b", BIG),
    ("run fixed:16:8 --machine l3-mini --in-process --model gpt-175b", BIG),
    # Traces.
    ("submit words.csv", f"words.csv:3: GeneratedTokens {TOKENS} 'many'"),
    ("submit negative.csv", f"negative.csv:3: ContextTokens {TOKENS} '-3'"),
    ("submit zero.csv", f"zero.csv:2: GeneratedTokens {TOKENS} 0"),
    ("submit short.csv", "short.csv:2: has 2 columns, the header has 3"),
    ("submit order.csv", f"order.csv:3: TIMESTAMP {LATE}"),
    (
        "submit head.csv",
        "head.csv:1: wrong header: no column TIMESTAMP, ContextTokens, GeneratedTokens "
        "(needs TIMESTAMP,ContextTokens,GeneratedTokens)",
    ),
    ("submit empty.csv", "empty.csv:1: the file is empty"),
    ("submit none.csv", "none.csv:1: no requests below the header"),
    ("submit day.csv", f"day.csv:2: TIMESTAMP {STAMP} 'yesterday'"),
    ("submit broken.jsonl", "broken.jsonl:2: is not JSON: Input data was truncated"),
    ("submit keyless.jsonl", "keyless.jsonl:1: has no output_tokens"),
    ("submit order.jsonl", f"order.jsonl:2: arrival_s {LATE}"),
    # Machine files.
    (
        "run fixed:16:8 --machine key.yaml",
        "link.setup_ms: key.yaml: unknown key 'setup_ms'; did you mean 'setup_us'? (there are: active_w, "
        "channel_bus, channel_bytes_per_s, channel_efficiency, gpus_per_uplink, idle_w, kind, level, "
        "overlap, pcie_bytes_per_s, pcie_efficiency, pcie_generation, pcie_lanes, relayout, setup_us, "
        "uplink_bytes_per_s)",
    ),
    (
        "run fixed:16:8 --machine section.yaml",
        "hosts: section.yaml: unknown key 'hosts'; did you mean 'host'? (there are: attention, "
        "default_model, description, devices, gpu, host, link, name, scheduler)",
    ),
    (
        "run fixed:16:8 --machine negative.yaml",
        "gpu.compute_efficiency: negative.yaml: Expected `float` > 0.0, got -0.75",
    ),
    ("run fixed:16:8 --machine word.yaml", "gpu.gpus: word.yaml: Expected `int`, got `str`, got 'one'"),
    (
        "run fixed:16:8 --machine name.yaml",
        "name: must be 1 to 64 letters, digits, '.', '_' or '-', got 'a/b'",
    ),
    (
        "run fixed:16:8 --machine kind.yaml",
        "attention.kind: kind.yaml: unknown kind 'hbm'; did you mean 'hbm-pim'? "
        "(there are: cpu-attention, dimm-pim, gpu, hbm-pim)",
    ),
    ("run fixed:16:8 --machine missing.yaml", "attention.module_idle_w: missing.yaml: missing"),
    (
        "run fixed:16:8 --machine list.yaml",
        "machine: list.yaml: must be a mapping of sections",
    ),
    (
        "run fixed:16:8 --machine zero.yaml",
        "link.channel_bytes_per_s: zero.yaml: Expected `float` > 0.0, got 0",
    ),
    (
        "run fixed:16:8 --machine twice.yaml",
        "link.pcie_generation: twice.yaml: excludes pcie_bytes_per_s, which says the rate itself; "
        "make one of them null",
    ),
    (
        "run fixed:16:8 --machine rateless.yaml",
        "link.pcie_generation: rateless.yaml: missing; a link needs pcie_generation and pcie_lanes, "
        "or pcie_bytes_per_s",
    ),
    # Configurations of models.
    ("submit fixed:16:8 --model config.json", "model: no file 'config.json'"),
    ("submit fixed:16:8 --model field.json", "model: field.json: num_hidden_layers: missing"),
    (
        "submit fixed:16:8 --model bloom.json",
        "model: bloom.json: architectures: unknown architecture 'BloomForCausalLM' "
        f"(there are: {', '.join(sorted(READERS))})",
    ),
    (
        "submit fixed:16:8 --model text.json",
        "model: text.json: is not JSON: Expecting value: line 1 column 1 (char 0)",
    ),
    (
        "run fixed:16:8 --machine l3-dgx-a100 --in-process --model opt-66b --tp 5",
        "tp: 5 does not divide the 72 heads of opt-66b",
    ),
    # Settings.
    (
        "submit fixed:16:8 --set memory.share=1",
        "set: unknown section 'memory' (there are: attention, gpu, host, link, scheduler)",
    ),
    *KEYS,
    # The command line itself.
    ("submit", "Missing argument 'WORKLOAD'."),
    ("sumbit fixed:16:8", "No such command 'sumbit'. Did you mean 'submit'?"),
    ("submit fixed:16:8 --address nowhere", "--address: must be HOST:PORT, got 'nowhere'"),
    ("submit fixed:16:8 --out x", "--out: needs --wait; or use `report JOB --out DIR` later"),
]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """A machine that is up, and a folder with FILES."""
    l3 = Commands(tmp_path_factory.mktemp("bad"))
    for name, text in FILES.items():
        (l3.folder / name).write_text(text)
    up = l3.run("up", "--machine", "l3-mini", "--modules-per-process", "4", "--detach")
    assert up.returncode == 0, up.stderr
    yield l3
    l3.run("down")
    assert l3.leftovers() == []


@pytest.mark.parametrize(("command", "text"), ROWS, ids=[command for command, _ in ROWS])
def test_bad_input_is_one_line_and_exit_2(
    machine: Commands,
    command: str,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(machine.folder)
    monkeypatch.setattr(os, "environ", machine.environment)
    code = entry(command.split())
    said = capsys.readouterr()
    assert (said.err, said.out, code) == (f"l3: error: {text}\n", "", 2)


def test_nothing_of_it_became_a_job_and_the_machine_still_works(machine: Commands) -> None:
    assert machine.json("jobs") == []
    report = machine.json("submit", "fixed:16:8", "--requests", "4", "--wait")
    assert report["requests"]["completed"] == 4


def test_where_no_machine_answers_it_is_exit_3(machine: Commands) -> None:
    done = machine.run("submit", "fixed:16:8", "--address", "127.0.0.1:1")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("l3: error: the machine at 127.0.0.1:1 does not answer: ")
    assert done.stderr.endswith("; start a machine with ./l3 up, or name one with --address\n")
    assert done.stderr.count("\n") == 1


def test_every_row_is_a_different_one() -> None:
    assert len({command for command, _ in ROWS}) == len(ROWS)
    used = {word for command, _ in ROWS for word in command.split()}
    assert used >= FILES.keys()
