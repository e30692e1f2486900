"""A report (`l3.report/1`, docs/report.md) for people: what was delivered, where time and energy went."""

import json

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from l3sim.reports import Report
from l3sim.reports.sections import Distribution, Exchange, Fidelity, Iteration, Workload
from l3sim.specs.config import DEVICE_KINDS
from l3sim.units import GIB

WIDTH = 100
_STATISTICS = ("mean", "std", "p50", "p90", "p95", "p99", "max")
_LATENCIES = (
    ("time to first token", "ttft_s"),
    ("time between tokens", "tbt_s"),
    ("time per output token", "tpot_s"),
    ("end to end", "e2e_s"),
    ("queueing", "queue_s"),
    ("iteration", "iteration_s"),
)
_BUSY = (("GPU", "gpu"), ("attention", "attention"), ("link down", "link_down"), ("link up", "link_up"))
_SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))


def print_report(report: Report, console: Console | None = None) -> None:
    """Print a report on standard output; at least `WIDTH` wide where that is no terminal."""
    wide(console).print(report_view(report))


def wide(console: Console | None = None) -> Console:
    """A console, by default standard output, made at least `WIDTH` wide.

    A narrower terminal wraps lines; cut to its width they would lose columns.
    """
    target = console or Console(highlight=False)
    if target.width < WIDTH:
        target.width = WIDTH
    return target


def report_view(report: Report) -> RenderableType:
    """Everything that a report says, as text and tables."""
    parts: list[RenderableType] = [
        *_headline(report),
        Text(),
        _latency(report),
        Text(),
        _time(report),
        *_gpu_time(report),
        Text(),
        _energy(report),
        Text(),
        *_memory(report),
        _exchange(report.exchange),
        *_fidelity(report.exchange.fidelity),
    ]
    parts += [Text(f"warning: {warning}", style="yellow") for warning in report.warnings]
    return Group(*parts)


def _headline(report: Report) -> list[Text]:
    requests, tokens, batch = report.requests, report.tokens, report.batch
    made = f"{tokens.prompt:,} prompt, {tokens.output:,} output, {tokens.recomputed:,} recomputed"
    if tokens.moved:
        made += f", {tokens.moved:,} moved to modules"
    counts = f"{requests.completed:,} completed, {requests.failed:,} failed, {requests.preempted:,} preempted"
    lines = [
        Text(f"job {report.job}: {report.model} on {report.machine}", style="bold"),
        Text(_how(report)),
        Text(f"workload {report.workload.name}, {_arrivals(report.workload)}"),
        *_strangers(report),
        *_overrides(report),
        Text(),
        Text(f"throughput  {_number(report.throughput_tokens_per_s)} tokens/s", style="bold"),
        *_steady(report),
        Text(f"makespan    {_number(report.makespan_s)} s, {report.iterations:,} iterations"),
        Text(f"requests    {requests.submitted:,} submitted: {counts}"),
        Text(f"lengths     {_lengths(report.workload)}"),
        Text(f"preemptions {report.preemptions:,}"),
        Text(f"tokens      {made}"),
        Text(
            f"batch       {_number(batch.mean_requests)} requests on average, {batch.max_requests:,} at most"
        ),
    ]
    lines += _objectives(report) + _foresight(report)
    if report.saturated:
        text = "saturated   yes: requests arrived faster than they were served; latencies grow with the trace"
        lines.append(Text(text, style="bold yellow"))
    lines += [Text(f"INVARIANT BROKEN: {text}", style="bold red") for text in report.broken]
    return lines


def _steady(report: Report) -> list[Text]:
    """Throughput without ramp and tail, and the rates of an open loop; nothing where there are none."""
    steady, rate, lines = report.steady, report.rate, []
    if steady.throughput_tokens_per_s is not None and steady.from_s is not None and steady.to_s is not None:
        when = f"from {_number(steady.from_s)} to {_number(steady.to_s)} s"
        share = f"{steady.share_of_makespan or 0.0:.0%} of the makespan"
        lines.append(Text(f"steady      {_number(steady.throughput_tokens_per_s)} tokens/s {when}, {share}"))
    if rate.offered is not None and rate.achieved is not None:
        rates = f"{_number(rate.offered)} requests/s offered, {_number(rate.achieved)} achieved"
        lines.append(Text(f"rate        {rates}"))
    return lines


def _strangers(report: Report) -> list[Text]:
    """Devices that are not ours, by kind or by version."""
    found: dict[str, list[str]] = {}
    for one in report.provenance.devices:
        if (one.role, one.kind) not in DEVICE_KINDS or one.version != report.provenance.version:
            found.setdefault(f"{one.kind}, version {one.version}", []).append(one.slot)
    return [Text(f"not ours    {_slots(slots)}: {what}") for what, slots in found.items()]


def _overrides(report: Report) -> list[Text]:
    """What single devices were started with, above the machine file."""
    found: dict[str, list[str]] = {}
    for one in report.provenance.devices:
        if given := one.started_with():
            text = ", ".join(
                f"{key}={json.dumps(value)}" if key else str(value) for key, value in given.items()
            )
            found.setdefault(text, []).append(one.slot)
    return [Text(f"overrides   {_slots(slots)}: {what}") for what, slots in found.items()]


def _slots(slots: list[str]) -> str:
    return slots[0] if len(slots) == 1 else f"{len(slots)} from {slots[0]} to {slots[-1]}"


def _objectives(report: Report) -> list[Text]:
    """How many requests met their objectives; nothing where there are none."""
    slo = report.slo
    if slo.attained is None:
        return []
    given = asdict(slo.at_most_s).items()
    targets = ", ".join(f"{name} {value:g}" for name, value in given if value is not None)
    goodput = f"{_number(slo.goodput_requests_per_s or 0.0)} requests/s"
    return [Text(f"objectives  {targets}: {slo.attained:.1%} met, goodput {goodput}")]


def _foresight(report: Report) -> list[Text]:
    """How wrong the plans' predictions were; nothing for a policy that predicts nothing."""
    gpu, attention = report.prediction.plans.gpu.median, report.prediction.plans.attention.median
    if gpu is None or attention is None:
        return []
    return [Text(f"foresight   plans were wrong by GPU {gpu:.2%}, attention {attention:.2%} at the median")]


def _how(report: Report) -> str:
    return f"policy {report.policy}, tp {report.parallel.tp}, dp {report.parallel.dp}, seed {report.seed}"


def _arrivals(workload: Workload) -> str:
    if workload.rate_per_s is not None:
        return f"open loop at {workload.rate_per_s:g} requests/s"
    return {
        "offline": "all at time 0",
        "open": f"open loop, its own times at speed {workload.speed:g}",
        "closed": f"closed loop of {workload.concurrency} clients",
    }[workload.mode]


def _lengths(workload: Workload) -> str:
    prompt, output = workload.prompt_tokens, workload.output_tokens
    return (
        f"prompt {_number(prompt.mean)} (std {_number(prompt.std)}), "
        f"output {_number(output.mean)} (std {_number(output.std)}) tokens on average"
    )


def _latency(report: Report) -> Table:
    table = _table("latency", "unit", *_STATISTICS)
    for name, key in _LATENCIES:
        values: Distribution | Iteration = getattr(report, key)
        scale, unit = _scale(values.p50)
        cells = (_scaled(getattr(values, statistic, None), scale) for statistic in _STATISTICS)
        table.add_row(name, unit, *cells)
    return table


def _time(report: Report) -> Table:
    table = _table("where time goes", "busy", "idle in rounds")
    for name, key in _BUSY:
        bubbles = getattr(report.bubbles, key, None)
        busy = getattr(report.utilization, key)
        table.add_row(name, f"{busy:.1%}", "-" if bubbles is None else f"{bubbles:.1%}")
    return table


def _gpu_time(report: Report) -> list[Text]:
    """What the GPU's busy time went to, largest first."""
    spent = {name: value for name, value in report.gpu_time_s.items() if value}
    whole = sum(spent.values())
    parts = [f"{name} {spent[name] / whole:.1%}" for name in sorted(spent, key=lambda name: -spent[name])]
    return [Text(f"GPU time    {', '.join(parts)}")] if parts else []


def _energy(report: Report) -> Table:
    energy = asdict(report.energy_j)
    output = report.tokens.output
    table = _table("where energy goes", "J", "share", "J/token")
    for key in [*(key for key in energy if key != "total"), "total"]:
        share = f"{energy[key] / energy['total']:.1%}" if energy["total"] else "-"
        token = _number(energy[key] / output) if output else "-"
        table.add_row(key, _number(energy[key]), share, token, style="bold" if key == "total" else None)
    return table


def _memory(report: Report) -> list[Text]:
    kv, prefix, balance = report.kv, report.kv.prefix, report.balance
    share = kv.peak_bytes / kv.capacity_bytes if kv.capacity_bytes else 0.0
    lines = [
        f"KV          {_bytes(kv.peak_bytes)} at most of {_bytes(kv.capacity_bytes)} ({share:.1%}); "
        f"{kv.fragmentation:.1%} empty in blocks of {kv.block_tokens:,} tokens"
    ]
    if prefix.hit_rate is not None:
        lines.append(
            f"shared      {prefix.hit_tokens:,} of {prefix.asked_tokens:,} prefix tokens were there "
            f"({prefix.hit_rate:.1%}), {_bytes(prefix.saved_peak_bytes)} saved at most"
        )
    fullest, busiest = balance.tokens.max_to_mean, balance.attention_s.max_to_mean
    if fullest is not None and busiest is not None:
        lines.append(f"balance     fullest rank {fullest:.3f} x the mean, busiest {busiest:.3f} x")
    return [Text(line) for line in lines]


def _exchange(exchange: Exchange) -> Text:
    rate = _number(exchange.simulated_iterations_per_wall_s)
    return Text(
        f"simulated   in {exchange.wall_s:.1f} s of wall time over {exchange.transport}: "
        f"{exchange.windows:,} windows, {exchange.messages:,} messages, {rate} iterations/s"
    )


def _fidelity(found: Fidelity | UnsetType) -> list[Text]:
    """What `--check-fidelity` came to."""
    if found is UNSET:
        return []
    gap = f"{found.largest_gap:.4%} ({found.largest_gap_s * 1e9:,.0f} ns)"
    return [Text(f"fidelity    {found.calls:,} calls checked command by command: {gap} apart at most")]


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(heads[0], min_width=22, no_wrap=True)
    for head in heads[1:]:
        table.add_column(head, justify="left" if head == "unit" else "right", min_width=7, no_wrap=True)
    return table


def _scale(middle: float | None) -> tuple[float, str]:
    """The largest unit in which the median is at least 1; of none at all, seconds."""
    if not middle:
        return _SCALES[0]
    return next((scale for scale in _SCALES if middle >= scale[0]), _SCALES[-1])


def _scaled(value: float | None, scale: float) -> str:
    return "-" if value is None else _number(value / scale)


def _number(value: float) -> str:
    """Four digits that count, thousands apart, never an exponent for what people meet."""
    if value == 0:
        return "0"
    for least, decimals in ((1000, 0), (100, 1), (10, 2), (1, 3)):
        if abs(value) >= least:
            return f"{value:,.{decimals}f}"
    return f"{value:.4g}"


def _bytes(count: int) -> str:
    for size, unit in ((GIB, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= size:
            return f"{_number(count / size)} {unit}"
    return f"{count} bytes"
