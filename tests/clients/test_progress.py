import io
from dataclasses import dataclass

from rich.console import Console

from l3sim.clients.progress import ProgressView, progress_text


@dataclass(frozen=True)
class Stand:
    """As the engine's own record has it."""

    virtual_time_ps: int = 0
    requests_done: int = 0
    requests_total: int = 0
    output_tokens_done: int = 0
    output_tokens_total: int = 0
    wall_s: float = 0.0


HALF = Stand(56_340_000_000_000, 120, 200, 1_250_000, 2_500_000, 75.0)


def shown(stands: list[tuple[str, Stand]], terminal: bool) -> str:
    console = Console(file=io.StringIO(), width=150, force_terminal=terminal, color_system=None)
    with ProgressView("job-000007", console) as view:
        for state, stand in stands:
            view.update(state, stand)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_one_line_says_it_all() -> None:
    text = "50% · 120/200 requests · 1,250,000/2,500,000 tokens · virtual 56.3 s · ETA 1:15"
    assert progress_text(HALF) == text


def test_the_time_left_grows_to_hours_and_is_unknown_at_first() -> None:
    assert progress_text(Stand(0, 0, 1, 1, 8001, 1.0)).endswith("ETA 2:13:20")
    assert progress_text(Stand(0, 0, 1, 0, 100, 9.0)).endswith("ETA -:--")


def test_plain_lines_come_on_every_change_and_now_and_then() -> None:
    stands = [("queued", Stand()), ("queued", Stand())]
    stands += [
        ("running", Stand(requests_total=9, output_tokens_total=9, wall_s=wall / 2)) for wall in range(24)
    ]
    lines = shown([*stands, ("succeeded", HALF)], terminal=False).splitlines()
    # Every 5 s of the 11.5 s that it runs: at 0, 5 and 10.
    assert [line.split()[1].strip(":") for line in lines] == ["queued", *["running"] * 3, "succeeded"]
    assert lines[-1] == f"job-000007 succeeded: {progress_text(HALF)}"


def test_a_terminal_gets_a_bar_that_goes_away() -> None:
    text = shown([("queued", Stand()), ("running", HALF)], terminal=True)
    assert progress_text(HALF) in text
    assert text.rstrip().endswith("\x1b[2K")  # the line is erased at the end
