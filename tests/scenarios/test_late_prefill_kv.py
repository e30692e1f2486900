"""A prompt's KV goes down beside the round that made it; a late one is seen holding back who needs the way.

round 0   B P B P B P B P B           gpu: the prompt, its first token
            K0-----K1-----K2-----K3-----     link: its KV, layer by layer, past the round's end
round 1             B ......D A U B ..D A U  D waits for the link until a K ends, A(l) never begins
                                             before K(l) has ended

Channels are so slow that KV is late; the same job on the machine as it is shows it in time.
(`test_prefill_kv_crosses_a_join` shows an attention itself wait, since others' queries go before K.)
"""

import json
from typing import Any

from l3sim.specs.job import JobSpec
from l3sim.testing.builders import small_model
from tests.orchestrator.small_jobs import SmallJob, lines_of, listed, small_machine

SPEC = JobSpec(listed([200], [3]), model=small_model(), policy="serial", spans_rounds=3)


def tasks(**settings: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Spans and the only request's line."""
    result = SmallJob(SPEC, small_machine(**settings)).run()
    assert result.report.invariants == "ok"
    spans = [json.loads(line) for line in result.artifacts["spans.jsonl"].splitlines()]
    (line,) = lines_of(result)
    return spans, line


def times(spans: list[dict[str, Any]], task: str, round_: int) -> dict[int, tuple[int, int]]:
    """Start and end by layer."""
    return {
        one["layer"]: (one["start_ps"], one["end_ps"])
        for one in spans
        if (one["task"], one["round"]) == (task, round_)
    }


def waits_of(spans: list[dict[str, Any]], round_: int) -> list[int]:
    """How long queries wait for the link, by layer."""
    blocks, queries = times(spans, "B", round_), times(spans, "D", round_)
    return [queries[layer][0] - blocks[layer][1] for layer in range(4)]


def test_late_kv_is_seen_as_what_it_is() -> None:
    spans, late = tasks(link__channel_bytes_per_s=3e7)
    prompt_kv, queries, attends = times(spans, "K", 0), times(spans, "D", 1), times(spans, "A", 1)
    (_, round_end) = times(spans, "B", 0)[4]
    assert prompt_kv[3][1] > round_end
    for layer in range(4):
        assert attends[layer][0] == max(prompt_kv[layer][1], queries[layer][1])
    waits = waits_of(spans, 1)
    assert max(waits) > 0
    arrivals = {end for _, end in prompt_kv.values()}
    assert all(queries[layer][0] in arrivals for layer in range(4) if waits[layer])
    assert waits_of(spans, 2) == [0] * 4
    # The token that the prompt itself makes waits for none of it.
    in_time, line = tasks()
    assert times(spans, "B", 0) == times(in_time, "B", 0)
    assert late["ttft_s"] == line["ttft_s"]
    assert late["e2e_s"] > line["e2e_s"]


def test_kv_in_time_holds_back_nobody() -> None:
    spans, _ = tasks()
    assert times(spans, "K", 0)[3][1] < times(spans, "D", 1)[0][0]
    assert waits_of(spans, 1) == waits_of(spans, 2) == [0] * 4
