"""The speed benchmark: `python -m benchmarks.speed NAME...`, JSON on stdout. See docs/benchmarks.md.

Each name is one run of `./l3 run`; `--list` prints them with their command lines.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.meter import ROOT, run, summary

OPENR1 = ("openr1", "--machine", "l3-dgx-a100", "--model", "gpt-175b")
TRACES = ROOT.parent / "shared" / "data" / "traces"
CONVERSATION = str(TRACES / "AzureLLMInferenceTrace_conv.csv")
CODE = str(TRACES / "AzureLLMInferenceTrace_code.csv")
AZURE = ("--machine", "l3-dgx-a100", "--model", "llama-2-70b")

RUNS: Mapping[str, Sequence[str]] = {
    "openr1-in-process": (*OPENR1, "--in-process"),
    "openr1-grpc": OPENR1,
    "openr1-fill-in-process": (*OPENR1, "--policy", "fill", "--in-process"),
    "openr1-fill-grpc": (*OPENR1, "--policy", "fill"),
    "openr1-fill-packed-grpc": (*OPENR1, "--policy", "fill", "--modules-per-process", "8"),
    "azure-conv-in-process": (CONVERSATION, *AZURE, "--in-process"),
    "azure-conv-grpc": (CONVERSATION, *AZURE),
    "azure-code-in-process": (CODE, *AZURE, "--in-process"),
    "azure-code-grpc": (CODE, *AZURE),
    "requests-100-grpc": (*OPENR1, "--policy", "fill", "--requests", "100"),
    "requests-1000-grpc": (*OPENR1, "--policy", "fill", "--requests", "1000"),
    "requests-10000-in-process": (*OPENR1, "--policy", "fill", "--requests", "10000", "--in-process"),
    "modules-4-grpc": ("openr1", "--requests", "100", "--policy", "fill", "--modules-per-process", "1"),
    "modules-32-grpc": ("openr1", "--requests", "100", "--policy", "fill", "--modules-per-process", "8"),
    "modules-128-grpc": ("openr1", "--requests", "100", "--policy", "fill", "--modules-per-process", "32"),
}


def command(name: str, folder: Path) -> list[str]:
    """The words of one run; machines of another size are written to `folder`."""
    words = list(RUNS[name])
    if name.startswith("modules-"):
        words += ["--machine", str(_machine(int(name.split("-")[1]), folder))]
    return words


def _machine(modules: int, folder: Path) -> Path:
    """The reference machine with another number of modules."""
    whole = (ROOT / "machines" / "l3-dgx-a100.yaml").read_text()
    text = whole.replace("modules: {value: 32,", f"modules: {{value: {modules},", 1)
    path = folder / f"l3-dgx-a100-{modules}.yaml"
    path.write_text(text.replace("name: l3-dgx-a100", f"name: l3-dgx-a100-{modules}", 1))
    return path


def main(argv: Sequence[str]) -> int:
    """Run what is named, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("names", nargs="*", help="which runs; default: all")
    parser.add_argument("--list", action="store_true", help="print the runs and stop")
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.names if name not in RUNS]
    if unknown:
        parser.error(f"no run is called {unknown[0]!r}; there are: {', '.join(RUNS)}")
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.names or RUNS:
            words = command(name, Path(folder))
            if arguments.list:
                print(name, "./l3 run", *words)
                continue
            if words[0].endswith(".csv") and not Path(words[0]).is_file():
                print(f"{name}: skipped, there is no {words[0]}", file=sys.stderr)
                continue
            print(json.dumps(summary(name, run(words))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
