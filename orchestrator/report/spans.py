"""The tasks of the first rounds, as a file and on the bus."""

import json
from collections.abc import Sequence

import numpy as np

from l3sim.orchestrator.engine.progress import Observer, Span
from l3sim.orchestrator.engine.timeline.base import TASKS
from l3sim.units import Int64s

#: Who does a task, as the bus topic names it.
SLOT_OF = {"B": "gpu", "P": "gpu", "A": "attention", "D": "link", "U": "link", "K": "link"}


def _rows(replica: int, parts: Sequence[Int64s]) -> list[Span]:
    """Tasks by (start, end, pass, layer, task, rankset)."""
    if not parts:
        return []
    table = np.concatenate(parts)
    keys = tuple(table[:, column] for column in (4, 3, 2, 1, 6, 5))
    return [
        Span(replica, number, s, layer, TASKS[task], rankset, start, end)
        for number, s, layer, task, rankset, start, end in table[np.lexsort(keys)].tolist()
    ]


def spans_jsonl(tasks: Sequence[tuple[int, Sequence[Int64s]]]) -> bytes:
    """A line a task: replica, round, pass, layer, task, rankset (or null), start_ps, end_ps."""
    lines = []
    for replica, parts in tasks:
        for span in _rows(replica, parts):
            record = {
                "replica": span.replica,
                "round": span.round,
                "pass": span.sub_batch,
                "layer": span.layer,
                "task": span.task,
                "rankset": None if span.rankset < 0 else span.rankset,
                "start_ps": span.start_ps,
                "end_ps": span.end_ps,
            }
            lines.append(json.dumps(record))
    return ("\n".join(lines) + "\n").encode() if lines else b""


def publish_spans(observer: Observer, tasks: Sequence[tuple[int, Sequence[Int64s]]]) -> None:
    """Tell the observer, by who does the task."""
    for replica, parts in tasks:
        rows = _rows(replica, parts)
        for slot in sorted(set(SLOT_OF.values())):
            mine = [span for span in rows if SLOT_OF[span.task] == slot]
            if mine:
                observer.spans(slot, mine)
