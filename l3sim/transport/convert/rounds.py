"""Windows and their costs <-> the messages of `device.proto`: the hot half of `convert`.

Durations and energies travel as little-endian int64 bytes, so that a cost of any number of rounds is one
copy on the device's side and none on the orchestrator's.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from l3sim.errors import InvalidInput, InvariantBroken
from l3sim.registry import unknown
from l3sim.units import MAX_COST_PS, Int64s
from l3sim.v1 import device_pb2 as pb
from l3sim.work import Chunk, Commit, Costs, KvPlacement, Op, OpCost, SubBatch, Window

_OPERATIONS = frozenset(op.value for op in Op)
_WIRE_INTEGER = np.dtype("<i8")


def window_to_proto(window: Window) -> pb.Window:
    """A window."""
    return pb.Window(
        window_id=window.window_id,
        replica=window.replica,
        rounds=window.rounds,
        sub_batches=[
            pb.SubBatch(
                index=batch.index,
                decode_request=batch.decode.tolist(),
                context_tokens=batch.context.tolist(),
                chunks=[
                    pb.Chunk(
                        request=chunk.request,
                        tokens=chunk.tokens,
                        finished_tokens=chunk.finished_tokens,
                        last=chunk.last,
                    )
                    for chunk in batch.chunks
                ],
            )
            for batch in window.sub_batches
        ],
        places=[
            pb.Placement(
                request=placed.request,
                offset=placed.offset,
                rank=placed.rank,
                prefix=placed.prefix,
                prefix_blocks=placed.prefix_blocks,
                held=placed.held,
            )
            for placed in window.places
        ],
        releases=window.releases,
        commits=commits_to_proto(window.commits),
    )


def window_from_proto(message: pb.Window) -> Window:
    """A window; arrays are int64. Whether it makes sense is asked by the conversation that it goes to.

    Raises:
        InvalidInput: numbers above 2^63.
    """
    return Window(
        window_id=message.window_id,
        replica=message.replica,
        rounds=message.rounds,
        sub_batches=tuple(map(_sub_batch_from_proto, message.sub_batches)),
        places=tuple(
            KvPlacement(
                placed.request,
                placed.offset,
                placed.rank,
                placed.prefix,
                placed.prefix_blocks,
                placed.held,
            )
            for placed in message.places
        ),
        releases=tuple(message.releases),
        commits=commits_from_proto(message.commits),
    )


def commits_to_proto(commits: Iterable[Commit]) -> list[pb.Commit]:
    """Commits."""
    return [pb.Commit(window_id=commit.window_id, rounds=commit.rounds) for commit in commits]


def commits_from_proto(messages: Iterable[pb.Commit]) -> tuple[Commit, ...]:
    """Commits."""
    return tuple(Commit(message.window_id, message.rounds) for message in messages)


def costs_to_proto(costs: Costs) -> pb.Costs:
    """What a window costs.

    Raises:
        InvariantBroken: a cost's arrays are not of the shape and type that OpCost promises.
    """
    return pb.Costs(
        window_id=costs.window_id,
        valid_rounds=costs.valid_rounds,
        costs=[_op_cost_to_proto(cost, costs.valid_rounds) for cost in costs.costs],
        held_bytes=costs.held_bytes,
    )


def costs_from_proto(message: pb.Costs) -> Costs:
    """What a window costs; arrays are read-only views of the message's bytes.

    Raises:
        InvalidInput: a list or a byte string is not as long as the shape says.
    """
    valid = message.valid_rounds
    costs = tuple(_op_cost_from_proto(cost, valid) for cost in message.costs)
    return Costs(message.window_id, valid, costs, tuple(message.held_bytes))


def check_values(cost: OpCost) -> None:
    """Check what a peer says: a known operation, times of 0 to MAX_COST_PS, energies of at least 0.

    Raises:
        InvalidInput: one is negative, or so large that it must be a mistake (the bits of a NaN are).
    """
    if cost.op not in _OPERATIONS:
        raise InvalidInput(("costs.op", unknown("operation", cost.op, sorted(_OPERATIONS))))
    if cost.sub_batch > 1:
        raise InvalidInput(("costs.sub_batch", f"{cost.op}: must be 0 or 1, got {cost.sub_batch}"))
    for name, values in (("duration_ps", cost.duration_ps), ("energy_nj", cost.energy_nj)):
        # Seen as unsigned, a negative number is too large.
        if values.size and int(values.view(np.uint64).max()) > MAX_COST_PS:
            worst = values.min() if values.min() < 0 else values.max()
            text = f"{cost.op}: must be 0 to {MAX_COST_PS}, got {worst}"
            raise InvalidInput((f"costs.{name}", text))


def _sub_batch_from_proto(message: pb.SubBatch) -> SubBatch:
    decode = integers_from_proto(message.decode_request, "window.sub_batches.decode_request")
    context = integers_from_proto(message.context_tokens, "window.sub_batches.context_tokens")
    chunks = tuple(
        Chunk(chunk.request, chunk.tokens, chunk.finished_tokens, chunk.last) for chunk in message.chunks
    )
    return SubBatch(message.index, decode, context, chunks)


def check_form(cost: OpCost, valid_rounds: int) -> None:
    """Check the arrays of what a device says.

    Raises:
        InvariantBroken: they are not of the shape and type that OpCost promises.
    """
    duration, energy = cost.duration_ps, cost.energy_nj
    lanes = len(cost.device)
    if not (isinstance(duration, np.ndarray) and isinstance(energy, np.ndarray)):
        kinds = f"{type(duration).__name__} and {type(energy).__name__}"
        raise InvariantBroken(f"{cost.op} has durations and energies of type {kinds}; they must be arrays")
    if (
        duration.ndim != 3
        or duration.shape[0] != lanes
        or len(cost.domain) != lanes
        or duration.shape[1] < 1
        or duration.shape[2] not in (1, valid_rounds)
        or energy.shape != duration.shape[1:]
        or duration.dtype != np.int64
        or energy.dtype != np.int64
    ):
        raise InvariantBroken(
            f"{cost.op} has durations {duration.dtype}{list(duration.shape)} and energies "
            f"{energy.dtype}{list(energy.shape)} for {lanes} lanes and {valid_rounds} rounds; "
            "they must be int64 [lanes, classes, rounds or 1] and [classes, rounds or 1]"
        )


def _op_cost_to_proto(cost: OpCost, valid_rounds: int) -> pb.OpCost:
    check_form(cost, valid_rounds)
    duration, energy = cost.duration_ps, cost.energy_nj
    return pb.OpCost(
        op=cost.op,
        sub_batch=cost.sub_batch,
        device=cost.device,
        domain=cost.domain,
        layer_classes=duration.shape[1],
        rounds=duration.shape[2],
        duration_ps=duration.astype(_WIRE_INTEGER, copy=False).tobytes(),
        energy_nj=energy.astype(_WIRE_INTEGER, copy=False).tobytes(),
    )


def _op_cost_from_proto(message: pb.OpCost, valid_rounds: int) -> OpCost:
    device, domain = tuple(message.device), tuple(message.domain)
    lanes, classes, rounds = len(device), message.layer_classes, message.rounds
    if len(domain) != lanes:
        text = f"{message.op}: must be as long as device ({lanes}), got {len(domain)}"
        raise InvalidInput(("costs.domain", text))
    if classes < 1:
        raise InvalidInput(("costs.layer_classes", f"{message.op}: must be at least 1, got 0"))
    if rounds not in (1, valid_rounds):
        raise InvalidInput(("costs.rounds", f"{message.op}: must be 1 or {valid_rounds}, got {rounds}"))
    duration = _block(message.duration_ps, (lanes, classes, rounds), message.op, "duration_ps")
    energy = _block(message.energy_nj, (classes, rounds), message.op, "energy_nj")
    return OpCost(message.op, message.sub_batch, device, domain, duration, energy)


def _block(data: bytes, shape: tuple[int, ...], operation: str, name: str) -> Int64s:
    """Little-endian int64 bytes as an array of a shape, read-only."""
    whole = 8
    for size in shape:
        whole *= size
    if len(data) != whole:
        text = f"{operation}: must be {whole} bytes for shape {list(shape)}, got {len(data)}"
        raise InvalidInput((f"costs.{name}", text))
    return np.frombuffer(data, _WIRE_INTEGER).astype(np.int64, copy=False).reshape(shape)


def integers_from_proto(values: Sequence[int], field: str) -> Int64s:
    """A repeated integer field as int64.

    Raises:
        InvalidInput: a value is above 2^63 - 1.
    """
    try:
        # np.array would wrap what is too large: the container offers its own conversion.
        return np.fromiter(values, np.int64, len(values))
    except OverflowError:
        raise InvalidInput((field, "must be below 2^63")) from None
