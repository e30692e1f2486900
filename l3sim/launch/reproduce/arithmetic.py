"""The steady state of a backlog in closed form: no queue, no tail, no preemption, ideal balance.

A decoding request attends c = in + E[out^2] / (2 E[out]) tokens on average, memory holds b = room / (c KV
bytes) of them (and never more than there are), and a round takes

    GPU alone      P(b) + attention(b)                 P: a pass of b requests through all dense layers
    else           max(2 P(b / 2), b c KV bytes / bandwidth of all ranks)

so that b / round tokens leave it a second. What stands beside a simulation says what the simulation adds.
"""

import numpy as np

from l3sim.launch.reproduce.plan import context_of, held_by, sizes_of
from l3sim.launch.reproduce.runs import Run
from l3sim.placement import DecodePlacement
from l3sim.services.gpu.model import DENSE, GroupCosts
from l3sim.units import PS_PER_S
from l3sim.work import Op


def tokens_per_s(run: Run) -> float:
    """Of all replicas.

    Raises:
        InvalidInput: the model does not fit.
    """
    job = sizes_of(run)
    machine, model, layout = job.machine, job.model, job.layout
    context = context_of(run.workload)
    kv_bytes = context * model.kv_bytes_per_token
    batch = min(held_by(run), run.requests / layout.dp)
    group = GroupCosts(machine.gpu, model, layout.tp)

    def pass_s(requests: float) -> float:
        count = max(round(requests), 1)
        return (
            sum(
                group.dense_ps(op, count, count) * (model.layers if op in (Op.BLOCK_IN, Op.BLOCK_OUT) else 1)
                for op in DENSE
            )
            / PS_PER_S
        )

    if machine.placement is DecodePlacement.GPU:
        held = np.full(max(int(batch), 1), int(context), dtype=np.int64)
        attend_s = group.attend_decode_ps(held) * model.layers / PS_PER_S * batch / len(held)
        round_s = pass_s(batch) + attend_s
    else:
        bandwidth = machine.attention.kv_bytes_per_s / layout.dp
        round_s = max(2 * pass_s(batch / 2), batch * kv_bytes / bandwidth)
    return layout.dp * batch / round_s
