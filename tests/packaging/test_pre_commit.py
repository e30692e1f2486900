"""The hooks before a commit are the gates of `./l3 test`, with nothing to fetch."""

import shlex
import sys

from ruamel.yaml import YAML

from l3sim.launch.gates import GATES
from tests.root import ROOT


def test_each_hook_is_a_gate_and_each_gate_a_hook() -> None:
    (local,) = YAML(typ="safe").load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    hooks = {hook["name"]: shlex.split(hook["entry"]) for hook in local["hooks"]}
    gates = {name: [".venv/bin/python", *command[1:]] for name, command in GATES}
    assert all(command[0] == sys.executable for _, command in GATES)
    assert hooks == gates
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
