"""A study in notebook cells: what does it cost a DIMM module to be slow, and where does time go?

Open it in VS Code or with jupytext as a notebook (`# %%` begins a cell), or run it as a script.
"""

# %% One job on a small machine, as its file has it
from typing import Any

import l3sim

JOB: dict[str, Any] = {"machine": "l3-mini", "model": "llama-2-7b", "requests": 20}
plain = l3sim.run("fixed:4000:64", **JOB)
print(plain)

# %% The same with one module at half its rate: all wait for the slowest
slow = l3sim.run("fixed:4000:64", **JOB, overrides={"dimm-02.ccd_l_tck": 16})
lost = 1 - slow.report.throughput_tokens_per_s / plain.report.throughput_tokens_per_s
print(f"one slow module of four takes {lost:.1%} of the throughput")

# %% And with all of them at that rate
everywhere = l3sim.run("fixed:4000:64", **JOB, settings={"attention.ccd_l_tck": 16})
for name, result in {"plain": plain, "one slow": slow, "all slow": everywhere}.items():
    report = result.report
    print(
        f"{name:<10} {report.throughput_tokens_per_s:7.1f} tokens/s, "
        f"TBT p99 {1e3 * (report.tbt_s.p99 or 0):6.1f} ms, attention busy {report.utilization.attention:.0%}"
    )

# %% Requests as a table, where pandas is installed
try:
    import pandas  # type: ignore[import-untyped]
except ModuleNotFoundError:
    slowest = max(slow.requests, key=lambda request: request["e2e_s"])
    print(f"the slowest request took {slowest['e2e_s']:.2f} s")
else:
    print(pandas.DataFrame(slow.requests)[["queue_s", "ttft_s", "tpot_s", "e2e_s"]].describe())

# %% Where a round's time goes: tasks of the first three rounds
tasks: dict[str, int] = {}
for span in l3sim.run("fixed:4000:64", **JOB, spans=3).spans:
    tasks[span["task"]] = tasks.get(span["task"], 0) + span["end_ps"] - span["start_ps"]
for task, spent_ps in sorted(tasks.items(), key=lambda item: -item[1]):
    print(f"{task}  {spent_ps / 1e9:8.2f} ms")
