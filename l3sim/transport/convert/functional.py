"""Functional work and its answers <-> the messages of `device.proto`: see `convert`."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l3sim.errors import InvalidInput, Unsupported
from l3sim.functional import (
    Attend,
    Attended,
    FunctionalAnswer,
    FunctionalRequest,
    Offload,
    Offloaded,
    Partials,
    ReadBack,
    Returned,
)
from l3sim.transport.convert.rounds import integers_from_proto
from l3sim.v1 import device_pb2 as pb

_WIRE_TYPES: dict[str, np.dtype[Any]] = {
    "float16": np.dtype("<f2"),
    "float32": np.dtype("<f4"),
    "bool": np.dtype("|b1"),
}
_PARTS = ("request", "head", "step", "ranks")
_RESULTS = ("top", "total", "output")


def functional_to_proto(work: FunctionalRequest) -> pb.Functional:
    """A piece of functional work."""
    if isinstance(work, Offload):
        message = pb.Offload(
            request=work.request,
            layer=work.layer,
            first=work.first,
            k=tensor_to_proto("k", work.k),
            v=tensor_to_proto("v", work.v),
        )
        return pb.Functional(offload=message)
    if isinstance(work, Attend):
        tensors = {name: tensor_to_proto(name, getattr(work, name)) for name in ("q", "k", "v")}
        return pb.Functional(attend=pb.Attend(layer=work.layer, requests=work.requests, **tensors))
    asked = pb.ReadBack(request=work.request, layer=work.layer, first=work.first, tokens=work.tokens)
    return pb.Functional(read_back=asked)


def functional_from_proto(message: pb.Functional) -> FunctionalRequest:
    """A piece of functional work; tensors are read-only views of the message's bytes.

    Raises:
        InvalidInput: a tensor whose bytes are not those of its shape and type.
        Unsupported: a kind of work that this version does not know.
    """
    kind = message.WhichOneof("work")
    if kind == "offload":
        offload = message.offload
        return Offload(
            request=offload.request,
            layer=offload.layer,
            first=offload.first,
            k=_tensor(offload.k, "offload.k", "float16"),
            v=_tensor(offload.v, "offload.v", "float16"),
        )
    if kind == "attend":
        attend = message.attend
        return Attend(
            layer=attend.layer,
            requests=tuple(attend.requests),
            q=_tensor(attend.q, "attend.q", "float16"),
            k=_tensor(attend.k, "attend.k", "float16"),
            v=_tensor(attend.v, "attend.v", "float16"),
        )
    if kind == "read_back":
        asked = message.read_back
        return ReadBack(asked.request, asked.layer, asked.first, asked.tokens)
    raise Unsupported("unknown functional work; this device knows Offload, Attend, ReadBack")


def answer_to_proto(answer: FunctionalAnswer) -> pb.FunctionalAnswer:
    """The answer to a piece of functional work."""
    if isinstance(answer, Offloaded):
        return pb.FunctionalAnswer(offloaded=pb.Offloaded(tokens=answer.tokens))
    if isinstance(answer, Attended):
        message = pb.Attended(
            device=answer.device,
            domain=answer.domain,
            duration_ps=answer.duration_ps.tolist(),
            outputs=tensor_to_proto("outputs", answer.outputs),
            present=tensor_to_proto("present", answer.present),
            partials=_partials_to_proto(answer.partials),
        )
        return pb.FunctionalAnswer(attended=message)
    tensors = {name: tensor_to_proto(name, getattr(answer, name)) for name in ("k", "v", "present")}
    return pb.FunctionalAnswer(returned=pb.Returned(**tensors))


def answer_from_proto(message: pb.FunctionalAnswer) -> FunctionalAnswer:
    """The answer to a piece of functional work.

    Raises:
        InvalidInput: a tensor whose bytes are not those of its shape and type, lists that differ in length,
            or no answer.
    """
    kind = message.WhichOneof("answer")
    if kind == "offloaded":
        return Offloaded(message.offloaded.tokens)
    if kind == "attended":
        done = message.attended
        if not len(done.device) == len(done.domain) == len(done.duration_ps):
            raise InvalidInput(("attended.device", "must be as long as domain and duration_ps"))
        return Attended(
            outputs=_tensor(done.outputs, "attended.outputs", "float16"),
            present=_tensor(done.present, "attended.present", "bool"),
            device=tuple(done.device),
            domain=tuple(done.domain),
            duration_ps=integers_from_proto(done.duration_ps, "attended.duration_ps"),
            partials=_partials_from_proto(done.partials),
        )
    if kind == "returned":
        read = message.returned
        return Returned(
            k=_tensor(read.k, "returned.k", "float16"),
            v=_tensor(read.v, "returned.v", "float16"),
            present=_tensor(read.present, "returned.present", "bool"),
        )
    raise InvalidInput(("functional", "must be Offloaded, Attended or Returned"))


def _partials_to_proto(partials: Partials) -> pb.Partials:
    numbers: dict[str, Any] = {name: getattr(partials, name).tolist() for name in _PARTS}
    results: dict[str, Any] = {name: tensor_to_proto(name, getattr(partials, name)) for name in _RESULTS}
    return pb.Partials(**numbers, **results)


def _partials_from_proto(message: pb.Partials) -> Partials:
    """Partial results.

    Raises:
        InvalidInput: lists or tensors that differ in length.
    """
    found: dict[str, NDArray[Any]] = {
        name: integers_from_proto(getattr(message, name), f"partials.{name}") for name in _PARTS
    }
    found |= {name: _tensor(getattr(message, name), f"partials.{name}", "float32") for name in _RESULTS}
    if len({len(one) for one in found.values()}) != 1:
        raise InvalidInput(("partials.request", "must be as long as all else of the partial results"))
    return Partials(**found)


def tensor_to_proto(name: str, values: NDArray[Any]) -> pb.Tensor:
    """An array of FP16 or FP32 numbers or flags.

    Raises:
        InvalidInput: it is of another type.
    """
    dtype = values.dtype.name
    if dtype not in _WIRE_TYPES:
        raise InvalidInput((name, f"must be one of {', '.join(_WIRE_TYPES)}, got {dtype}"))
    data = np.ascontiguousarray(values, dtype=_WIRE_TYPES[dtype]).tobytes()
    return pb.Tensor(name=name, shape=values.shape, dtype=dtype, data=data)


def _tensor(message: pb.Tensor, field: str, dtype: str) -> NDArray[Any]:
    """A tensor as an array, read-only.

    Raises:
        InvalidInput: another name or type, or not as many bytes as the shape says.
    """
    name, shape = field.rpartition(".")[2], tuple(message.shape)
    if (message.name, message.dtype) != (name, dtype):
        text = f"must be the tensor {name!r} of {dtype}, got {message.name!r} of {message.dtype!r}"
        raise InvalidInput((field, text))
    size = prod(shape) * _WIRE_TYPES[dtype].itemsize
    if len(message.data) != size:
        raise InvalidInput((field, f"must be {size} bytes for shape {list(shape)}, got {len(message.data)}"))
    if dtype == "bool":
        values: NDArray[Any] = np.frombuffer(message.data, np.uint8) != 0
    else:
        values = np.frombuffer(message.data, _WIRE_TYPES[dtype]).astype(np.dtype(dtype), copy=False)
    return values.reshape(shape)
