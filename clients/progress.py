"""Progress of a job on standard error: a bar on a terminal, a plain line now and then elsewhere."""

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from l3sim.units import seconds

#: Wall time between two plain lines.
LINE_EVERY_S = 5.0


class JobProgress(Protocol):
    """How far a job has come: the contract's message, or the engine's own record."""

    @property
    def virtual_time_ps(self) -> int:
        """The slowest replica's clock."""

    @property
    def requests_done(self) -> int:
        """Requests that have completed."""

    @property
    def requests_total(self) -> int:
        """Requests of the job; 0 before it started."""

    @property
    def output_tokens_done(self) -> int:
        """Tokens stamped so far."""

    @property
    def output_tokens_total(self) -> int:
        """Tokens of all requests."""

    @property
    def wall_s(self) -> float:
        """Since the job's present attempt began."""


class ProgressView:
    """Shows one job's progress; a context manager, so that the bar goes away on every way out.

    Args:
        name: what to call the job.
        console: where to; standard error by default.
    """

    def __init__(self, name: str, console: Console | None = None) -> None:
        self._name = name
        self._console = console or Console(stderr=True)
        self._state = ""
        self._next_line_s = 0.0
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                TextColumn("{task.fields[text]}"),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task(self._name, total=None, text="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, state: str, progress: JobProgress) -> None:
        """Show where the job stands; call it as often as there is news.

        Args:
            state: "queued", "running", ...; a plain line is printed whenever it changes.
        """
        text = progress_text(progress) if progress.requests_total else ""
        if self._bar is not None:
            total = progress.output_tokens_total or None
            name = self._name if state == "running" else f"{self._name} {state}"
            self._bar.update(
                self._task, description=name, total=total, completed=progress.output_tokens_done, text=text
            )
            return
        if state != self._state:
            self._next_line_s = 0.0
            self._state = state
        if progress.wall_s >= self._next_line_s:
            self._next_line_s = progress.wall_s + LINE_EVERY_S
            line = f"{self._name} {state}: {text}" if text else f"{self._name} {state}"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def progress_text(progress: JobProgress) -> str:
    """One line: share, requests, tokens, virtual time, and how long it will still take."""
    done, total = progress.output_tokens_done, progress.output_tokens_total
    share = done / total if total else 0.0
    return (
        f"{share:.0%} · {progress.requests_done:,}/{progress.requests_total:,} requests"
        f" · {done:,}/{total:,} tokens · virtual {seconds(progress.virtual_time_ps):,.1f} s"
        f" · ETA {_eta(progress)}"
    )


def _eta(progress: JobProgress) -> str:
    done, total = progress.output_tokens_done, progress.output_tokens_total
    if not done:
        return "-:--"
    left_s = round(progress.wall_s * (total - done) / done)
    minutes, rest = divmod(left_s, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
