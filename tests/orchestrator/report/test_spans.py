"""The tasks of the first rounds, as a file and on the bus."""

import json

import numpy as np

from l3sim.orchestrator.report.spans import publish_spans, spans_jsonl
from tests.orchestrator.small_jobs import Watcher

#: (round, pass, layer, task, rankset, start, end), tasks BPDAUK.
PARTS = [
    np.array([[0, 1, 0, 0, -1, 5, 9], [0, 0, 0, 0, -1, 0, 5]]),
    np.array([[1, 1, 0, 1, -1, 9, 12], [1, 0, 2, 5, 3, 9, 12]]),
]


def test_a_line_a_task_by_start_end_and_pass() -> None:
    lines = [json.loads(line) for line in spans_jsonl([(0, []), (1, PARTS)]).splitlines()]
    assert lines == [
        {
            "replica": 1,
            "round": number,
            "pass": s,
            "layer": layer,
            "task": task,
            "rankset": rankset,
            "start_ps": start,
            "end_ps": end,
        }
        for number, s, layer, task, rankset, start, end in [
            (0, 0, 0, "B", None, 0, 5),
            (0, 1, 0, "B", None, 5, 9),
            (1, 0, 2, "K", 3, 9, 12),
            (1, 1, 0, "P", None, 9, 12),
        ]
    ]


def test_no_tasks_no_bytes() -> None:
    assert spans_jsonl([(0, []), (1, [])]) == b""


def test_published_by_who_does_the_task() -> None:
    watcher = Watcher()
    publish_spans(watcher, [(1, PARTS)])
    assert [(slot, [span.task for span in spans]) for slot, spans in watcher.seen] == [
        ("gpu", ["B", "B", "P"]),
        ("link", ["K"]),
    ]
