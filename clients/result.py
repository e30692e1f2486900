"""What a job left, in memory: its report, typed, and its files as rows.

result = l3sim.run("openr1", requests=200)
result.report.throughput_tokens_per_s
pandas.DataFrame(result.requests)
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from l3sim.clients.saved import pretty, save
from l3sim.errors import NotFound
from l3sim.reports import Report

Row = dict[str, Any]


@dataclass(frozen=True, repr=False)
class Result:
    """A job that succeeded. Rows are dictionaries, which `pandas.DataFrame` takes as they are.

    Attributes:
        report: what it came to (docs/report.md).
        artifacts: its other files by name, as `--out` writes them.
    """

    report: Report
    artifacts: Mapping[str, bytes]

    @cached_property
    def requests(self) -> list[Row]:
        """A row a request, in order of arrival: the fields of requests.jsonl."""
        return self._rows("requests.jsonl", "")

    @cached_property
    def decisions(self) -> list[Row]:
        """A row a plan of the scheduler: the fields of decisions.jsonl."""
        return self._rows("decisions.jsonl", "")

    @cached_property
    def spans(self) -> list[Row]:
        """A row a task of the timeline: the fields of spans.jsonl.

        Raises:
            NotFound: the job was not asked to keep them.
        """
        return self._rows("spans.jsonl", "spans=K")

    @cached_property
    def regret(self) -> list[Row]:
        """A row a plan that was compared with its alternatives: the fields of regret.jsonl.

        Raises:
            NotFound: the job was not asked to compare them.
        """
        return self._rows("regret.jsonl", "regret=K")

    @cached_property
    def config(self) -> dict[str, Any]:
        """Everything resolved: config.yaml."""
        # As rich below: loaded when it is asked for.
        from ruamel.yaml import YAML

        content: dict[str, Any] = YAML(typ="safe", pure=True).load(self._file("config.yaml", "").decode())
        return content

    def save(self, folder: str | Path) -> list[Path]:
        """Write report.json and the files beside it, as `--out` does; returns what was written.

        Raises:
            InvalidInput: the folder cannot be written to.
        """
        return save(Path(folder), pretty(self.report.to_dict()), self.artifacts)

    def __str__(self) -> str:
        """The report as the command line prints it."""
        # Loaded when it is asked for: who reads numbers waits for no tables.
        from rich.console import Console

        from l3sim.clients.report_view import WIDTH, print_report

        console = Console(file=io.StringIO(), width=WIDTH, highlight=False)
        with console.capture() as shown:
            print_report(self.report, console)
        return "\n".join(line.rstrip() for line in shown.get().splitlines())

    def __repr__(self) -> str:
        report = self.report
        rate = f"{report.throughput_tokens_per_s:,.1f} tokens/s"
        return f"<Result of job {report.job}: {report.model} on {report.machine}, {rate}>"

    def _rows(self, name: str, option: str) -> list[Row]:
        return [msgspec.json.decode(line) for line in self._file(name, option).splitlines()]

    def _file(self, name: str, option: str) -> bytes:
        if name not in self.artifacts:
            remedy = f"; run it with {option}" if option else ""
            raise NotFound(f"job {self.report.job} left no {name}{remedy}")
        return self.artifacts[name]
