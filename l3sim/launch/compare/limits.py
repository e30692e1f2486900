"""What bounds a machine on a job: which of its parts a report points to."""

from l3sim.orchestrator.job.rooflines import Rooflines
from l3sim.reports import Report

#: KV is full for this purpose when its peak comes so close to the capacity; the admission watermark is 5 %.
FULL = 0.9
#: A part of the GPUs' busy time is named alone if it takes so much of it; else with the next one: ours.
ALONE = 0.5


def limit_of(report: Report, rooflines: Rooflines) -> str:
    """The part that a report points to: the busiest one, and of a busy GPU what keeps it so.

    A GPU that counts its time is bound by the largest part of it; of one that does not, a large enough batch
    is bound by its FLOPs, a smaller one by weights. Where weights bind and KV memory is full, the batch could
    not be larger: its capacity binds. An open loop that every part keeps up with is bound by its arrivals.
    """
    busy = report.utilization
    link = max(busy.link_down, busy.link_up)
    decode_on_gpu = busy.attention if rooflines.shared else 0.0
    top = max(busy.gpu - decode_on_gpu, busy.attention, link)
    if report.rate.offered is not None and not report.saturated:
        return "arrivals"
    if busy.attention == top:
        return "attention bandwidth"
    if link == top:
        return "link"
    return _limit_of_gpu(report, rooflines)


def _limit_of_gpu(report: Report, rooflines: Rooflines) -> str:
    spent = dict(report.gpu_time_s)
    if rooflines.shared:
        spent.pop("attention", None)
    whole = sum(report.gpu_time_s.values())
    parts = sorted(spent, key=lambda name: -spent[name])
    if not whole:
        enough = report.batch.mean_requests * rooflines.dp >= rooflines.compute_batch
        parts = ["compute" if enough else "weights"]
    kv = report.kv
    if parts[0] == "weights" and kv.peak_bytes >= FULL * kv.capacity_bytes:
        return "KV capacity"
    if not whole:
        return f"GPU {parts[0]}"
    shares = [f"{name} {spent[name] / whole:.0%}" for name in parts[:2]]
    return f"GPU {shares[0]}" if spent[parts[0]] >= ALONE * whole else f"GPU {shares[0]}, {shares[1]}"
