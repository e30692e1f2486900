"""What a shell completes: by the functions, by the protocol of the scripts, and in a real bash."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import l3sim.launch.cli  # noqa: F401 (enters its commands)
from l3sim.clients import completion
from l3sim.clients.cli import app, main
from l3sim.orchestrator.engine import policies
from tests.root import ROOT


def answered(words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What bash is told may stand in place of the last word."""
    monkeypatch.setenv("_L3_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("l3 ru", ["run"]),
        ("l3 run --machine l3-dgx-h", ["l3-dgx-h100"]),
        ("l3 run openr1 --model llama-2-7", ["llama-2-70b", "llama-2-7b"]),
        ("l3 up --gpu h", ["h100-80gb", "h200"]),
        ("l3 run openr1 --policy s", ["serial", "static"]),
        ("l3 run dol", ["dolphin", "dolphin-short"]),
        ("l3 submit fi", ["fixed:"]),
        ("l3 machine show r-", ["r-pim-as-published", "r-pim-dgx-a100"]),
        ("l3 probe gpu --model gpt", ["gpt-175b"]),
        ("l3 run --machine nothing-begins-so", []),
    ],
)
def test_names_complete_wherever_a_command_takes_them(
    words: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answered(words, monkeypatch, capsys) == expected


def test_every_parameter_with_such_a_name_completes() -> None:
    completion.complete_names(app)
    seen = set()
    for name, parameter in completion.parameters(app):
        if name in completion.COMPLETIONS:
            assert parameter.autocompletion is completion.COMPLETIONS[name]
            seen.add(name)
    assert seen == completion.COMPLETIONS.keys()


def test_policies_are_those_of_the_engine_and_of_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in completion.POLICIES:
        policies.policy_named(name)
    shipped = {path.stem for path in Path(policies.__file__).parent.glob("*.py")}
    parts = {"__init__", "base", "admission", "partition", "last_chunks"}
    parts |= {"balance", "forecast", "homes", "round_time"}
    assert shipped - parts == set(completion.POLICIES)
    assert completion.POLICY_GROUP == policies.GROUP

    class Point:
        name = "mine"

    monkeypatch.setattr(completion, "entry_points", lambda group: [Point()])
    assert completion.policies("m") == ["mine"]


def test_bash_completes_after_the_line_that_help_tells(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash
    command = tmp_path / "l3"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m l3sim "$@"\n')
    command.chmod(0o755)
    script = (
        'eval "$(l3 --show-completion)"; complete -p l3; '
        "COMP_WORDS=(l3 run openr1 --machine l3-m); COMP_CWORD=4; _l3_completion l3; echo ${COMPREPLY[@]}"
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([bash, "-c", script], env=environment, capture_output=True, text=True, check=True)
    registered, completed = done.stdout.splitlines()
    assert registered.endswith("-F _l3_completion l3")
    assert completed == "l3-mini"
