"""How a job is spread over the GPUs: TP and DP as asked, else the TP whose estimate is best.

For each TP that divides the machine's GPUs and the model's heads and whose replicas hold the weights, with
DP = GPUs / TP and as many requests b as there are (of a closed loop, clients), or as KV memory has room for
(rooflines.py):

    a round      max(FC layers + collectives, attention)      their sum where the GPUs attend themselves
    the job      tokens x round / b  +  longest answer x round of one request

The last term is the job's end, when its longest answers are alone. A collective has `collective_s` of the
GPU's section; two a layer. Of degrees whose tokens a second lie within `CLOSE` of the best the largest is
taken: it reads weights with more GPUs at once, so that tokens come at shorter gaps. The lengths of the
workload go into it, as whoever starts a server knows them; schedulers know nothing of it.
"""

from l3sim.errors import InvalidInput
from l3sim.orchestrator.job.memory_budget import usable_bytes
from l3sim.orchestrator.job.rooflines import Rooflines, rooflines
from l3sim.placement import layout_of
from l3sim.specs.job import JobSpec
from l3sim.specs.machine import Machine
from l3sim.specs.model import ELEMENT_BYTES, ModelShape
from l3sim.specs.requests import Requests

#: All-reduces of a layer: after attention and after the FFN.
COLLECTIVES = 2
#: Estimates so near the best, as a share of it, count as equal: ours.
CLOSE = 0.1


def parallel(spec: JobSpec, machine: Machine, model: ModelShape, table: Requests) -> tuple[int, int]:
    """TP and DP of a job.

    Raises:
        InvalidInput: more GPUs than there are, or heads that cannot be shared by them.
    """
    gpus = machine.gpu.gpus
    if spec.dp and not 1 <= spec.dp <= gpus:
        raise InvalidInput(("dp", f"must be 1 to {gpus} (the machine's GPUs), got {spec.dp}"))
    tp = spec.tp or (
        gpus // spec.dp if spec.dp else best_tp(machine, model, table, spec.workload.concurrency)
    )
    if not 1 <= tp <= gpus:
        raise InvalidInput(("tp", f"must be 1 to {gpus} (the machine's GPUs), got {tp}"))
    if model.heads % tp:
        raise InvalidInput(("tp", f"{tp} does not divide the {model.heads} heads of {model.name}"))
    dp = spec.dp or gpus // tp
    if tp * dp > gpus:
        raise InvalidInput(("dp", f"{tp} x {dp} GPUs are more than the machine's {gpus}"))
    return tp, dp


def best_tp(machine: Machine, model: ModelShape, table: Requests, clients: int | None = None) -> int:
    """The model's own TP if its file gives one, else the one with the best estimate.

    Where no replica could hold the weights it is the largest, whose refusal then says so.

    Args:
        clients: of a closed loop, which are served at once at most.
    """
    gpus: int = machine.gpu.gpus
    if model.default_tp:
        return min(model.default_tp, gpus)
    degrees = [tp for tp in range(1, gpus + 1) if gpus % tp == 0 and model.heads % tp == 0]
    able = [tp for tp in degrees if _holds(machine, model, tp)]
    if not able:
        return degrees[-1]
    most = len(table) if clients is None else min(clients, len(table))
    found = {tp: _estimate(machine, model, tp, table, most) for tp in able}
    known = {tp: rate for tp, rate in found.items() if rate is not None}
    if not known:
        return able[0]
    best = max(known.values())
    return max(tp for tp, rate in known.items() if rate >= (1 - CLOSE) * best)


def _holds(machine: Machine, model: ModelShape, tp: int) -> bool:
    """Whether replicas of that TP hold the weights and can be laid over the machine."""
    if model.weight_bytes > usable_bytes(machine, tp):
        return False
    try:
        machine.link.check_replica(tp)
        layout_of(machine.attention, model, tp, machine.gpu.gpus // tp)
    except InvalidInput:
        return False
    return True


def _estimate(machine: Machine, model: ModelShape, tp: int, table: Requests, most: int) -> float | None:
    """Tokens a second of the whole job; None where a kind does not say its rates.

    Args:
        most: requests at once.
    """
    dp = machine.gpu.gpus // tp
    lines = rooflines(machine, model, layout_of(machine.attention, model, tp, dp), table)
    if lines is None:
        return None
    batch = min(lines.capacity_requests, float(most))
    if batch < dp:
        return 0.0  # some replicas would have nothing to do
    tokens = float(table.output.sum())
    crowd_s = tokens / batch * _round_s(machine, model, tp, lines, batch)
    end_s = float(table.output.max()) * _round_s(machine, model, tp, lines, float(dp))
    return tokens / (crowd_s + end_s)


def _round_s(machine: Machine, model: ModelShape, tp: int, lines: Rooflines, batch: float) -> float:
    """A round in which so many requests decode on all replicas."""
    size = batch / lines.dp * model.hidden * ELEMENT_BYTES
    collective_s: float = machine.gpu.collective_s(tp, size)
    layers_s = batch / lines.fc_tokens_per_s(batch) + COLLECTIVES * model.layers * collective_s
    attention_s = batch / lines.attention_tokens_per_s
    return layers_s + attention_s if lines.shared else max(layers_s, attention_s)
