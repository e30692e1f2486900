"""The pages tell the truth: their commands run, their links lead somewhere, the names in them exist."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML

import l3sim.launch.cli  # noqa: F401 (enters its commands)
from l3sim.clients.cli import main
from l3sim.orchestrator.engine.policies import POLICIES
from l3sim.specs.catalog import MACHINES, MODELS, load_machine, machine_names, model_names
from l3sim.specs.machine import SECTIONS
from tests.commands import Commands
from tests.device_pages import SMALLER
from tests.pages import COMMANDS, PAGES, fenced, named, shown, tables
from tests.root import ROOT

#: A page's commands, one after the other; the demo alone simulates 2.5 million tokens.
SESSION_S = 600


@pytest.mark.parametrize("page", PAGES)
def test_how_ci_runs_each_command_is_known(page: str) -> None:
    commands = shown(PAGES[page])
    table = COMMANDS.get(page, [])
    assert [one.command for one in commands] == [command for command, _ in table]
    for one, (_, how) in zip(commands, table, strict=True):
        assert bool(one.ci) == (how == SMALLER), f"{one.command}: say in the page how CI runs it"
        if "::" in how:
            file, _, test = how.partition("::")
            assert f"def {test}(" in (ROOT / file).read_text(), how


@pytest.fixture
def house(l3: Commands) -> Path:
    """A folder that looks like the repository, where commands may leave files."""
    folder = l3.folder / "house"
    folder.mkdir()
    for path in ROOT.iterdir():
        if path.name not in {".git", ".venv", ".l3"}:
            (folder / path.name).symlink_to(path)
    (folder / ".venv").symlink_to(sys.prefix)
    lock = "requirements.lock"
    stamp = ROOT / ".venv" / lock
    if not stamp.is_file() or stamp.read_bytes() != (ROOT / lock).read_bytes():
        # An environment that ./l3 did not make: it would install anew, which test_launcher is about.
        (folder / "l3").unlink()
        (folder / "l3").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m l3sim "$@"\n')
        (folder / "l3").chmod(0o755)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(SESSION_S + 60)
@pytest.mark.parametrize("page", [page for page in PAGES if shown(PAGES[page])])
def test_commands_do_what_the_page_shows(page: str, l3: Commands, house: Path) -> None:
    steps = [one for one, (_, how) in zip(shown(PAGES[page]), COMMANDS[page], strict=True) if "::" not in how]
    lines = ["set -eu", *(f"echo '@@ {n}'; {one.command} {one.ci}" for n, one in enumerate(steps))]
    bash = subprocess.Popen(
        ["bash", "-c", "\n".join(lines)],
        cwd=house,
        env=l3.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = bash.communicate(timeout=SESSION_S)
    finally:
        if bash.poll() is None:
            os.killpg(bash.pid, signal.SIGKILL)
            bash.wait()
    assert bash.returncode == 0, f"after {out[-2000:]}\n{err[-2000:]}"
    said = re.split(r"^@@ \d+\n", out, flags=re.M)[1:]
    for one, text in zip(steps, said, strict=True):
        missing = unmatched(one.output, text.splitlines())
        assert missing is None, f"{page}: {one.command} does not print {missing!r}, but:\n{text}"


def unmatched(pattern: Sequence[str], lines: Sequence[str]) -> str | None:
    """The first line of a page that a command did not print in its place; None when there is none."""
    rest, anywhere = list(lines), not pattern
    for line in pattern:
        if line == "...":
            anywhere = True
            continue
        at = next((n for n, said in enumerate(rest) if said.rstrip() == line.rstrip()), None)
        if at is None or (at and not anywhere):
            return line
        rest, anywhere = rest[at + 1 :], False
    return None if anywhere or not rest else f"(the end, but {rest[0]})"


def test_the_policy_of_the_page_runs(tmp_path: Path) -> None:
    (block,) = fenced(PAGES["docs/policies.md"], "python")
    assert re.findall(r"^from (\S+)", block, re.M) == ["l3sim.orchestrator.policies"]
    words = ["run", "fixed:64:8", "--machine", "l3-mini", "--requests", "6", "--policy", "alternate"]
    code = f"{block}\nfrom l3sim.launch.cli import main\nmain({[*words, '--in-process', '--json']})\n"
    (tmp_path / "alternate.py").write_text(code)
    done = subprocess.run(
        [sys.executable, tmp_path / "alternate.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["policy"], report["requests"]["completed"], report["invariants"]) == ("alternate", 6, "ok")


def test_the_client_on_the_page_is_the_example_that_runs() -> None:
    (block,) = fenced(PAGES["docs/programs.md"], "python")
    assert block == (ROOT / "docs" / "examples" / "job_client.py").read_text()


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", PAGES[page], flags=re.S)):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.resolve().exists(), f"{page}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
            assert anchor in map(slug, headings), f"{page}: {link}"


def test_every_page_is_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\(([^)#:]+\.md)", PAGES["README.md"]))
    assert linked == PAGES.keys() - {"README.md"}


def test_the_tree_of_the_readme_is_that_of_the_repository() -> None:
    (block,) = fenced(PAGES["README.md"], "tree")
    listed = [line.split()[0].rstrip("/") for line in block.splitlines()]
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    folders = {name.partition("/")[0] for name in tracked if "/" in name and not name.startswith(".")}
    assert sorted(listed) == sorted(folders)


def test_every_key_of_a_machine_file_and_every_name_is_on_its_page() -> None:
    machines = [load_machine(name) for name in machine_names()]
    keys = {f"{name}.{key}" for machine in machines for name in SECTIONS for key in machine.section(name)}
    page = PAGES["docs/machines.md"]
    rows = [name for row in tables(page) for name in named(row[0])]
    assert set(rows) >= keys
    assert {name for name in rows if re.fullmatch(rf"({'|'.join(SECTIONS)})\.\w+", name)} == keys
    assert set(machine_names()) | set(model_names()) <= set(rows)
    assert {name for row in tables(PAGES["docs/policies.md"]) for name in named(row[0])} >= set(POLICIES)


def test_the_assumed_numbers_are_those_of_the_machine_files() -> None:
    assumed = {
        key
        for path in MACHINES.glob("*.yaml")
        for key, source in load_machine(str(path)).sources.items()
        if source.startswith("assumed")
    }
    section = PAGES["docs/limits.md"].partition("## Assumed numbers")[2].partition("\n## ")[0]
    listed = [
        f"{named(row[0])[0]}.{key}" for row in tables(section) if named(row[0]) for key in named(row[1])
    ]
    assert sorted(listed) == sorted(assumed)


def paths(value: Any, path: str = "") -> set[str]:
    """Dotted names of everything in a JSON value; `[]` stands for the items of a list of objects."""
    if isinstance(value, dict) and value:
        return set().union(*(paths(inner, f"{path}.{key}" if path else key) for key, inner in value.items()))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return set().union(*(paths(item, f"{path}[]") for item in value))
    return {path}


def documented(file: str) -> list[str]:
    """Fields that docs/report.md names for a file, `x.*` written out."""
    section = PAGES["docs/report.md"].partition(f"\n## {file}\n")[2].partition("\n## ")[0]
    names = [name for row in tables(section) for name in named(row[0])]
    statistics = [name.removeprefix("*.") for name in names if name.startswith("*.")]
    plain = [name for name in names if "*" not in name]
    return plain + [f"{name[:-2]}.{one}" for name in names if name.endswith(".*") for one in statistics]


def test_the_report_page_names_every_field_and_no_other(tmp_path: Path) -> None:
    job = ["run", "fixed:64:8", "--machine", "l3-mini", "--requests", "4", "--in-process", "--spans", "1"]
    job += ["--regret", "2", "--check-fidelity", "1", "--policy", "l3"]
    assert main([*job, "--json", "--out", str(tmp_path)]) == 0
    config = YAML(typ="safe", pure=True).load(tmp_path / "config.yaml")
    spans, requests, decisions, regret = (
        [msgspec.json.decode(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("spans.jsonl", "requests.jsonl", "decisions.jsonl", "regret.jsonl")
    )
    real = {
        "report.json": paths(json.loads((tmp_path / "report.json").read_text())),
        "requests.jsonl": paths(requests[0]),
        # What a policy weighed is its own.
        "regret.jsonl": paths({**regret[0], "tokens_per_s": 0}),
        "decisions.jsonl": paths({**decisions[0], "considered": 0}),
        "config.yaml": paths({**config, "machine": 0, "model": 0}),
        "spans.jsonl": paths(spans[0]),
    }
    assert {path.name for path in tmp_path.iterdir()} == real.keys()
    for file, fields in real.items():
        assert sorted(documented(file)) == sorted(fields), file


#: Words for `./l3` that bring about a line of docs/troubleshooting.md, by a piece of it.
REFUSED = {
    "no machine is up; start one": "down",
    "does not answer": "jobs --address 127.0.0.1:7600",
    "unknown machine 'l3-max'": "run openr1 --machine l3-max --in-process",
    "unknown architecture": "run fixed:1:1 --model bloom.json --in-process",
    "num_hidden_layers": "run fixed:1:1 --model config.json --in-process",
    "unknown key 'foo'": "run fixed:1:1 --set gpu.foo=3 --machine l3-mini --in-process",
    "policy 'fill' does not": "run fixed:1:1 --set scheduler.horizon=3 --policy fill --in-process",
    "belongs to the machine": "run fixed:1:1 --set gpu.gpus=3 --in-process",
    "needs 349.2 GB": "run fixed:1:1 --model gpt-175b --machine l3-mini --in-process",
    "needs 900000 tokens": "run fixed:900000:1 --machine l3-mini --in-process",
    "1 clients are fewer": "run fixed:1:1 --concurrency 1 --dp 8 --model llama-2-7b --in-process",
    "mine.csv:3": "run mine.csv --in-process",
}


@pytest.mark.parametrize("piece", REFUSED)
def test_error_lines_are_what_the_page_says(
    piece: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("L3_HOME", str(tmp_path))
    rows = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,1,2\n2023-11-16 18:17:01,1,2\n"
    Path("mine.csv").write_text(rows)
    llama = (MODELS / "samples" / "llama-3.1-8b.json").read_text()
    Path("bloom.json").write_text(llama.replace("Llama", "Bloom"))
    Path("config.json").write_text(llama.replace("num_hidden_layers", "layers"))
    (line, code), *others = [
        (named(row[0])[0], row[1]) for row in tables(PAGES["docs/troubleshooting.md"]) if piece in row[0]
    ]
    assert others == []
    assert main(REFUSED[piece].split()) == int(code)
    told = capsys.readouterr().err
    for words in line.split("..."):
        assert words.strip("()") in told
