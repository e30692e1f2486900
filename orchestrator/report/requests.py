"""requests.jsonl: what became of each request."""

import json

from l3sim.orchestrator.engine.requests import RequestTable
from l3sim.orchestrator.job.slo import Targets, met
from l3sim.specs.lengths import MAX_TOKENS
from l3sim.units import seconds


def requests_jsonl(table: RequestTable, slo: Targets) -> bytes:
    """A line a request, in order of arrival; times in seconds since the job's start."""
    good = met(slo, table)["all"]
    lines = []
    for index in range(len(table)):
        arrival, first = int(table.arrival_ps[index]), int(table.first_stamp_ps[index])
        last, gaps = int(table.last_stamp_ps[index]), int(table.output[index]) - 1
        limit = int(table.limit[index])
        record = {
            "request": index,
            "line": int(table.line[index]),
            "prompt_tokens": int(table.prompt[index]),
            "output_tokens": int(table.output[index]),
            "max_output_tokens": limit if limit < MAX_TOKENS else None,
            "priority": int(table.priority[index]),
            "arrival_s": seconds(arrival),
            "queue_s": seconds(int(table.first_round_ps[index]) - arrival),
            "ttft_s": seconds(first - arrival),
            "tbt_s": seconds(int(table.longest_gap_ps[index])) if gaps else None,
            "tpot_s": seconds(last - first) / gaps if gaps else None,
            "e2e_s": seconds(last - arrival),
            "preemptions": int(table.preemptions[index]),
            "slo_met": bool(good[index]) if slo else None,
        }
        lines.append(json.dumps(record))
    return ("\n".join(lines) + "\n").encode()
