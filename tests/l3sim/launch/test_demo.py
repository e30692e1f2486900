"""What the demo says at its end; the page test of the README runs all of it."""

import io

from rich.console import Console

from l3sim.launch.demo import NAMES, gains
from tests.reports import golden


def test_gains_are_ratios_of_the_two_reports() -> None:
    alone, with_modules = golden(throughput_tokens_per_s=100.0), golden(throughput_tokens_per_s=320.0)
    console = Console(file=io.StringIO(), width=120)
    console.print(gains(with_modules, alone))
    assert isinstance(console.file, io.StringIO)
    head, *lines = console.file.getvalue().splitlines()
    assert head.split() == ["GPUs", "alone", "with", "modules", "ratio"]
    assert lines[0].split() == ["tokens/s", "100", "320", "3.20"]
    assert [line[: len(name)] for line, name in zip(lines, NAMES, strict=True)] == list(NAMES)
    assert all(line.split()[-1] == "1.00" for line in lines[1:])
