"""Timelines as text, for scenarios."""

from tests.orchestrator.engine.timeline.brute_force import KINDS
from tests.orchestrator.engine.timeline.runs import Seen


def written(history: list[Seen]) -> str:
    """One line a task, `start-end round task(pass,layer[,rankset])`, by start and then order of service."""
    spans = [span for seen in history for span in seen.spans]
    spans.sort(key=lambda span: (span[5], span[0], span[1], span[2], KINDS.index(span[3]), span[4]))
    return "\n".join(
        f"{start:2}-{end:2} {r} {kind}({s},{layer}" + (f",R{j})" if j >= 0 else ")")
        for r, s, layer, kind, j, start, end in spans
    )
