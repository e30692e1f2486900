"""What bounds a job on a machine: the law of each step of decoding over the batch size.

Decoding takes two steps a layer, and each has its own law over the batch size b, the requests that decode
at once:

    tokens/s |            ,------------ FC: weights are read once a batch, so b / t until compute binds
             |    ,------/------------- attention: each request's own KV, so bandwidth / KV bytes, at any b
             |   /      /    |
             |  /     /      | capacity: as many requests as have room for their KV
             +---------------+--------- b

    FC(b)      = DP * b / (L * max(W / (TP * bandwidth), 2 P b / (TP * FLOP rate)))
    attention  = KV bandwidth of the machine / (context * KV bytes a token)
    capacity   = KV room / (context * KV bytes a token)

with W and P the bytes and parameters that a token passes in one layer, L layers, and rates with their
efficiencies. The context is the mean over all decoding rounds of all requests. Machines are slower than this:
latencies, transfers, unbalanced ranks and waiting are not in it.
"""

from dataclasses import dataclass

from l3sim.orchestrator.job.memory_budget import kv_shape
from l3sim.placement import DecodePlacement, Layout
from l3sim.specs.machine import Machine
from l3sim.specs.model import ELEMENT_BYTES, ModelShape
from l3sim.specs.requests import Requests


@dataclass(frozen=True)
class Rooflines:
    """Bounds of one machine on one job, over all replicas.

    Attributes:
        dp: replicas. shared: the GPUs attend as well, so that the two take turns.
        context: mean tokens that a decoding request attends.
        weights_s: reading all layers' weights once, on one replica. compute_s: their FLOPs for one token.
        attention_tokens_per_s: at any batch size. capacity_requests: of that context, in KV memory.
    """

    dp: int
    shared: bool
    context: float
    weights_s: float
    compute_s: float
    attention_tokens_per_s: float
    capacity_requests: float

    def fc_tokens_per_s(self, batch: float) -> float:
        """Token throughput of the FC layers when so many requests decode at once on the whole machine."""
        return batch / max(self.weights_s, self.compute_s * batch / self.dp)

    @property
    def compute_batch(self) -> float:
        """Batch size of the whole machine from which on FLOPs bind and not weights."""
        return self.dp * self.weights_s / self.compute_s


def rooflines(machine: Machine, model: ModelShape, layout: Layout, table: Requests) -> Rooflines | None:
    """The bounds; None where a kind does not say its rates."""
    if machine.gpu.gemm_rates is None or (attention := _attention_bytes_per_s(machine)) is None:
        return None
    bandwidth, flops = machine.gpu.gemm_rates
    # Of a mixture of experts a token passes some experts only, and a batch is taken to meet them all.
    idle_experts = max(model.experts - model.experts_per_token, 0) * model.expert_parameters
    layer = model.qkv_parameters + model.output_parameters + model.ffn_parameters
    context = mean_context(table)
    token_bytes = context * model.kv_bytes_per_token
    room = int(kv_shape(machine, model, layout).room_bytes.sum()) * layout.dp
    return Rooflines(
        dp=layout.dp,
        shared=machine.placement is DecodePlacement.GPU,
        context=context,
        weights_s=layer * ELEMENT_BYTES * model.layers / (layout.tp * bandwidth),
        compute_s=2 * (layer - idle_experts) * model.layers / (layout.tp * flops),
        attention_tokens_per_s=attention / token_bytes,
        capacity_requests=room / token_bytes,
    )


def mean_context(table: Requests) -> float:
    """Tokens that a decoding request attends, mean over all tokens made: a request's prompt + output / 2."""
    prompt, output = table.prompt.astype(float), table.output.astype(float)
    return float((output * (prompt + (output + 1) / 2)).sum() / output.sum())


def _attention_bytes_per_s(machine: Machine) -> float | None:
    if machine.placement is DecodePlacement.GPU:
        of_one: float | None = getattr(machine.gpu, "memory_bytes_per_s", None)
        return None if of_one is None else float(machine.gpu.gpus * of_one)
    rate: float | None = machine.attention.kv_bytes_per_s
    return rate
