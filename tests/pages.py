"""The pages of the documentation, taken apart; and how CI runs each command in them.

A command is a line `$ ...` in a fenced `console` block. Lines below it are what it prints, `...` stands for
any number of lines. What `COMMANDS` says and what the pages show must agree; `tests/test_docs.py` looks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.device_pages import AS_WRITTEN, DEVICE_PAGES, SMALLER
from tests.question_pages import QUESTION_PAGES
from tests.root import ROOT

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "tests/README.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
}
COMPOSE = "tests/compose/test_compose.py::test_"
SWAPPED = "tests/compose/test_swap.py::test_"
FROM_HOST = COMPOSE + "a_job_from_the_host_reports_what_the_in_process_machine_does"
MEASURED = "tests/scripts/test_measure_gpu.py::test_torch_measures_what_a_fit_reads"
SHIPPED = "tests/scripts/test_fit_gpu.py::test_shipped_parameters_are_what_the_profiles_give"
VIDUR = '--origin "Vidur\'s public profiles, MIT"'

#: Commands of each page in order, and how CI runs them: here, or in the test named.
COMMANDS: dict[str, list[tuple[str, str]]] = {
    "docs/reproduce.md": [
        ("./l3 reproduce --out reproduce.md --jobs 2", SMALLER),
        ('./l3 reproduce --only "dolphin-short qwen-72b l3" --requests 3 --json', AS_WRITTEN),
    ],
    "README.md": [
        ("./l3 demo", AS_WRITTEN),
        ("./l3 test", "tests/test_repository.py::test_ci_runs_what_people_run"),
        ("./l3 run fixed:128:64 --machine l3-mini --requests 20 --policy l3 --in-process", AS_WRITTEN),
        ("./l3 run fixed:128:64 --machine l3-mini --requests 20 --policy l3", AS_WRITTEN),
        ("./l3 up --machine l3-mini --detach", AS_WRITTEN),
        ("./l3 status", AS_WRITTEN),
        ("./l3 devices", AS_WRITTEN),
        ("./l3 submit dolphin-short --requests 50 --wait", AS_WRITTEN),
        ("./l3 submit fixed:128:64 --requests 20 --policy serial", AS_WRITTEN),
        ("./l3 watch job-000002", AS_WRITTEN),
        ("./l3 jobs", AS_WRITTEN),
        ("./l3 report job-000002 --out results", AS_WRITTEN),
        ("./l3 down", AS_WRITTEN),
        ("docker compose up --detach", FROM_HOST),
        ("./l3 devices", FROM_HOST),
        ("./l3 submit openr1 --requests 200 --wait", FROM_HOST),
        (
            "docker compose run --rm client submit fixed:64:16 --requests 20 --wait",
            COMPOSE + "a_job_from_the_client_container_reports_the_same",
        ),
        ("docker compose down", COMPOSE + "32_containers_of_one_module_and_nothing_left_behind"),
        ("L3_CONTAINERS=4 docker compose up --detach", FROM_HOST),
        (
            "L3_MACHINE=hbm-pim-dgx-a100 L3_CONTAINERS=1 docker compose up --detach",
            SWAPPED + "another_machine_is_composed_by_its_name_alone",
        ),
        ("./l3 up --machine l3-dgx-a100 --modules-per-process 16 --detach", AS_WRITTEN),
        ("./l3 swap attention --with hbm-pim --machine hbm-pim-dgx-a100", AS_WRITTEN),
        ("./l3 submit fixed:128:64 --requests 20 --wait", AS_WRITTEN),
        ("./l3 down", AS_WRITTEN),
        (
            "printf '%s\\n' TIMESTAMP,ContextTokens,GeneratedTokens "
            "'2023-11-16 18:17:03.97,374,44' > mine.csv",
            AS_WRITTEN,
        ),
        (
            "printf '%s\\n' '2023-11-16 18:17:04.03,396,109' '2023-11-16 18:17:04.17,879,55' >> mine.csv",
            AS_WRITTEN,
        ),
        ("./l3 run mine.csv --machine l3-mini", AS_WRITTEN),
        ("./l3 run mine.csv --machine l3-mini --speed 2 --in-process", AS_WRITTEN),
    ],
    "CONTRIBUTING.md": [
        ("./l3 run fixed:128:64 --machine l3-mini --requests 20 --in-process", AS_WRITTEN),
        (".venv/bin/python -P -m pytest -q tests/orchestrator/engine/kv", AS_WRITTEN),
        (
            ".venv/bin/python -m ruff check . && .venv/bin/python -m ruff format --check .",
            "tests/l3sim/launch/test_gates.py::test_the_gates_are_those_of_the_project",
        ),
    ],
    "docs/benchmarks.md": [
        (".venv/bin/python -m benchmarks.speed --list", AS_WRITTEN),
        (
            ".venv/bin/python -m benchmarks.speed requests-100-grpc | .venv/bin/python -m benchmarks.table",
            AS_WRITTEN,
        ),
    ],
    "docs/dimm-pim.md": [
        ("./l3 probe dimm-pim --model gpt-175b --batch 16 --context 8192", AS_WRITTEN),
        (
            "./l3 probe dimm-pim --model llama-2-7b --machine l3-mini --batch 1 --context 64 --trace",
            AS_WRITTEN,
        ),
        (".venv/bin/python -m benchmarks.dimm", SMALLER),
    ],
    "docs/generated/dimm-pim-results.md": [
        ("./l3 probe dimm-pim --model gpt-175b --batch 16 --context 8192 --level command", AS_WRITTEN),
    ],
    "docs/kv.md": [
        ("./l3 run openr1 --model gpt-175b --policy fill --requests 300 --in-process", SMALLER),
        (
            "./l3 run openr1 --model gpt-175b --policy fill --requests 300 --in-process "
            "--set attention.kv_block_tokens=1",
            SMALLER,
        ),
        ("./l3 probe dimm-pim --model qwen-72b --batch 32 --context 8192", AS_WRITTEN),
        (
            "./l3 probe dimm-pim --model qwen-72b --batch 32 --context 8192 --set attention.partition=block",
            AS_WRITTEN,
        ),
        (
            "./l3 run fixed:8192:256 --model qwen-72b --policy serial --requests 1 --in-process "
            "--set attention.partition=block",
            AS_WRITTEN,
        ),
        (
            'for n in $(seq 200); do printf \'{"prefix_id": "system", "prefix_tokens": 1024, '
            '"prompt_tokens": %d, "output_tokens": 64}\\n\' $((1100 + n % 50)); done > chat.jsonl',
            AS_WRITTEN,
        ),
        (
            "./l3 run chat.jsonl --model llama-2-7b --policy fill --set attention.capacity_bytes=40000000000 "
            "--in-process",
            AS_WRITTEN,
        ),
        (
            "./l3 run chat.jsonl --model llama-2-7b --policy fill --set attention.capacity_bytes=40000000000 "
            "--set scheduler.prefix_sharing=longest --in-process",
            AS_WRITTEN,
        ),
    ],
    "docs/policies.md": [
        ("./l3 up --machine l3-mini --detach", AS_WRITTEN),
        ("./l3 submit dolphin-short --requests 30 --regret 8 --wait", AS_WRITTEN),
        ("./l3 report job-000001 --decisions", AS_WRITTEN),
        ("./l3 report job-000001 --regret", AS_WRITTEN),
        ("./l3 down", AS_WRITTEN),
    ],
    "docs/hbm-pim.md": [
        ("./l3 probe hbm-pim --model llama-2-70b --batch 16 --context 8192", AS_WRITTEN),
        ("./l3 probe hbm-pim --model llama-2-7b --batch 1 --context 64 --trace", AS_WRITTEN),
    ],
    "docs/generated/scheduling.md": [
        (".venv/bin/python -m benchmarks.scheduling --list", AS_WRITTEN),
        (".venv/bin/python -m benchmarks.scheduling --workers 2 > results.jsonl", SMALLER),
        (".venv/bin/python -m benchmarks.scheduling --page results.jsonl", SMALLER),
    ],
    "docs/machines.md": [
        ("cp machines/l3-mini.yaml mine.yaml", AS_WRITTEN),
        ("./l3 run fixed:128:64 --machine ./mine.yaml --requests 20 --policy l3", AS_WRITTEN),
        ("./l3 machine list", AS_WRITTEN),
        ("./l3 machine show l3-dgx-a100-pcie5", AS_WRITTEN),
        ("./l3 machine show l3-dgx-a100-pcie5 --json", AS_WRITTEN),
        (
            "./l3 compare fixed:128:64 --requests 20 --machine l3-mini --machine ./mine.yaml",
            AS_WRITTEN,
        ),
        (
            "./l3 compare fixed:128:64 --requests 20 --machine l3-mini --machine ./mine.yaml "
            "--policy auto --csv compared.csv --json",
            AS_WRITTEN,
        ),
        (
            "./l3 compare openr1 --model gpt-175b --policy auto --requests 300 "
            "--machine gpu-only-dgx-a100 "
            "--machine l3-dgx-a100 "
            "--machine hbm-pim-dgx-a100 "
            "--machine hbm-pim-ext-dgx-a100 "
            "--machine r-pim-dgx-a100 "
            "--machine cpu-dgx-a100",
            SMALLER,
        ),
        (
            "./l3 run fixed:128:64 --machine l3-mini --requests 20 --policy l3 "
            "--set link.overlap=off --in-process",
            AS_WRITTEN,
        ),
        (
            "./l3 run fixed:128:64 --machine l3-mini --requests 20 --policy l3 "
            "--override dimm-02.ccd_l_tck=16",
            AS_WRITTEN,
        ),
        (
            "./l3 run fixed:128:64 --machine l3-mini --requests 20 --policy l3 "
            "--set link.pcie_bytes_per_s=null --set link.pcie_generation=5 --set link.pcie_lanes=16 "
            "--in-process",
            AS_WRITTEN,
        ),
        ("./l3 model list", AS_WRITTEN),
        (
            "./l3 run fixed:128:64 --machine l3-mini --requests 20 "
            "--model models/samples/qwen3-8b.json --in-process",
            AS_WRITTEN,
        ),
    ],
    "docs/gpus.md": [
        ("./l3 run fixed:128:64 --machine l3-mini --gpu h200 --requests 20 --in-process", AS_WRITTEN),
        ("./l3 gpu list", AS_WRITTEN),
        ("./l3 probe gpu --gpu a100-80gb --model llama-2-70b --tp 4 --tokens 256", AS_WRITTEN),
        (
            "./l3 probe gpu --gpu a100-80gb --model llama-2-70b --tp 4 --tokens 16 --context 4096 --json",
            AS_WRITTEN,
        ),
        ("cp gpus/rtx-4090.yaml mine-gpu.yaml", AS_WRITTEN),
        ("./l3 probe gpu --gpu ./mine-gpu.yaml --model llama-2-7b --tokens 64 --json", AS_WRITTEN),
        (
            ".venv/bin/python -m scripts.measure_gpu --model llama-2-7b --tp 1 2 4 8 "
            "--out mine-llama-2-7b.csv",
            MEASURED,
        ),
        (
            ".venv/bin/python -m scripts.measure_gpu --model llama-2-70b --tp 4 8 --out mine-llama-2-70b.csv",
            MEASURED,
        ),
        (
            ".venv/bin/python -m scripts.fit_gpu mine-gpu.yaml mine-*.csv --prior a100-80gb "
            '--origin "measured by me"',
            "tests/scripts/test_fit_gpu.py::test_a_file_is_fitted_and_keeps_the_rest",
        ),
        (
            f".venv/bin/python -m scripts.fit_gpu gpus/a100-80gb.yaml $P/a100-[cil]*.csv {VIDUR}",
            SHIPPED,
        ),
        (
            ".venv/bin/python -m scripts.fit_gpu gpus/h100-80gb.yaml "
            "$P/h100-{codellama-34b-instruct,llama-2-7b}-hf.csv --prior a100-80gb "
            f"{VIDUR}",
            SHIPPED,
        ),
        (
            f".venv/bin/python -m scripts.fit_gpu gpus/a40.yaml $P/a40-*.csv --prior a100-80gb {VIDUR}",
            SHIPPED,
        ),
        (
            ".venv/bin/python -m scripts.fit_kernels $K gpus/{a100-80gb,h100-80gb,h200,b200,l40s}.yaml",
            "tests/scripts/test_kernel_tables.py::test_shipped_parameters_are_what_the_tables_give",
        ),
        (
            ".venv/bin/python -m scripts.validate_gpu $P docs/generated",
            "tests/scripts/test_validate_gpu.py::test_the_page_is_what_the_command_writes",
        ),
        (
            ".venv/bin/python -m scripts.validate_kernels $K $P docs/generated",
            "tests/scripts/test_kernel_tables.py::test_the_page_is_what_the_command_writes",
        ),
    ],
    "docs/models.md": [
        ("./l3 probe link --bytes 1048576", AS_WRITTEN),
        (
            "./l3 probe link --bytes 1048576 --direction up --no-overlap --set link.relayout=cpu --json",
            AS_WRITTEN,
        ),
    ],
    **DEVICE_PAGES,
    **QUESTION_PAGES,
}


@dataclass
class Shown:
    """A command as a page shows it; `ci` are the options that its comment adds in CI."""

    command: str
    ci: str = ""
    output: list[str] = field(default_factory=list)


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def shown(text: str) -> list[Shown]:
    found: list[Shown] = []
    for line in "".join(fenced(text, "console")).splitlines():
        if line.startswith("$ "):
            command, _, comment = line[2:].partition("  # ")
            found.append(Shown(command.rstrip(), comment.partition("CI:")[2].strip()))
        else:
            found[-1].output.append(line)
    return found


def tables(text: str) -> Iterator[list[str]]:
    """Cells of every row of every table, heads left out."""
    before = ""
    for line in text.splitlines():
        is_row = line.startswith("|") and not line.startswith("|---") and before.startswith("|")
        if is_row:
            yield [cell.strip() for cell in line.strip("|").split(" | ")]
        before = line


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)
