"""Files of a job that has ended, in a folder that the user named."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from l3sim.errors import InvalidInput

REPORT = "report.json"
#: What every job leaves, and what only some do.
ALWAYS = ("requests.jsonl", "decisions.jsonl", "config.yaml")
SOMETIMES = ("spans.jsonl", "regret.jsonl")


def pretty(report: Mapping[str, Any]) -> str:
    """A report as JSON text, the same on standard output and in files."""
    return json.dumps(report, indent=2, ensure_ascii=False)


def make_folder(folder: Path) -> None:
    """Make the folder before the job runs, so that an hour's result never has nowhere to go.

    Raises:
        InvalidInput: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / ".l3-writable"
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise InvalidInput(("--out", f"cannot write to {str(folder)!r}: {error.strerror}")) from None


def save(folder: Path, report: str, artifacts: Mapping[str, bytes]) -> list[Path]:
    """Write a report, as `pretty` has it, and the files beside it; returns what was written.

    Raises:
        InvalidInput: the folder cannot be written to.
    """
    make_folder(folder)
    files = {REPORT: f"{report}\n".encode(), **artifacts}
    try:
        for stale in {REPORT, *ALWAYS, *SOMETIMES} - files.keys():
            # A former job's spans beside this job's report would be read as this job's.
            (folder / stale).unlink(missing_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise InvalidInput(("--out", f"cannot write to {str(folder)!r}: {error.strerror}")) from None
    return [folder / name for name in files]
