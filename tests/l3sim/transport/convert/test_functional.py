"""Tensors cross the wire bit by bit, and what is malformed is refused by name."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim import functional
from l3sim.errors import InvalidInput, Unsupported
from l3sim.transport.convert import functional as convert
from l3sim.v1 import device_pb2 as pb
from tests.l3sim.transport.equal import same

U32, U63 = st.integers(0, 2**32 - 1), st.integers(0, 2**63 - 1)
SHAPES = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple)


@st.composite
def halves(draw: st.DrawFn) -> Any:
    """Any 16 bits but those that are no number, which equal nothing; also not contiguous ones."""
    sizes = draw(SHAPES)
    count = int(np.prod(sizes))
    bits = draw(st.lists(st.integers(0, 0xFFFF), min_size=count, max_size=count))
    values = np.nan_to_num(np.array(bits, dtype=np.uint16).view(np.float16)).reshape(sizes)
    return values.T if draw(st.booleans()) else values


@st.composite
def flags(draw: st.DrawFn) -> Any:
    sizes = draw(SHAPES)
    count = int(np.prod(sizes))
    return np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=bool).reshape(sizes)


@st.composite
def attended(draw: st.DrawFn) -> functional.Attended:
    lanes = draw(st.lists(st.tuples(U32, U32, U63), max_size=3))
    device, domain, duration = (tuple(lane[i] for lane in lanes) for i in range(3))
    partials = draw(parts())
    return functional.Attended(
        draw(halves()), draw(flags()), device, domain, np.array(duration, dtype=np.int64), partials
    )


@st.composite
def parts(draw: st.DrawFn) -> functional.Partials:
    count, queries, size = draw(st.integers(0, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    numbers: dict[str, Any] = {
        name: np.array([draw(U32) for _ in range(count)], dtype=np.int64)
        for name in ("request", "head", "step", "ranks")
    }
    random = np.random.default_rng(draw(U32))
    shapes = {"top": (count, queries), "total": (count, queries), "output": (count, queries, size)}
    results: dict[str, Any] = {
        name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()
    }
    return functional.Partials(**numbers, **results)


WORK = st.one_of(
    st.builds(functional.Offload, U63, U32, U63, halves(), halves()),
    st.builds(functional.Attend, U32, st.lists(U63, max_size=3).map(tuple), halves(), halves(), halves()),
    st.builds(functional.ReadBack, U63, U32, U63, U63),
)
ANSWERS = st.one_of(
    st.builds(functional.Offloaded, U63),
    attended(),
    st.builds(functional.Returned, halves(), halves(), flags()),
)


@given(WORK)
def test_work_survives(value: functional.FunctionalRequest) -> None:
    message = pb.Functional.FromString(convert.functional_to_proto(value).SerializeToString())
    assert same(convert.functional_from_proto(message), value)


@given(ANSWERS)
def test_answers_survive(value: functional.FunctionalAnswer) -> None:
    message = pb.FunctionalAnswer.FromString(convert.answer_to_proto(value).SerializeToString())
    assert same(convert.answer_from_proto(message), value)


@pytest.mark.parametrize(
    "name", ["Offload", "Attend", "ReadBack", "Offloaded", "Attended", "Partials", "Returned"]
)
def test_both_sides_have_the_same_fields(name: str) -> None:
    theirs = {field.name for field in getattr(pb, name).DESCRIPTOR.fields}
    assert theirs == {field.name for field in fields(getattr(functional, name))}


def offload(**tensor: Any) -> functional.FunctionalRequest:
    values: dict[str, Any] = {"name": "k", "shape": [1, 2], "dtype": "float16", "data": bytes(4)}
    message = pb.Offload(k=pb.Tensor(**(values | tensor)), v=pb.Tensor(name="v", shape=[0], dtype="float16"))
    return convert.functional_from_proto(pb.Functional(offload=message))


def test_a_tensor_is_little_endian() -> None:
    work = offload(data=bytes([0, 0x3C, 0, 0xC0]))
    assert isinstance(work, functional.Offload)
    assert work.k.tolist() == [[1.0, -2.0]]


@pytest.mark.parametrize(
    ("parse", "error", "text"),
    [
        (
            lambda: offload(data=bytes(3)),
            InvalidInput,
            "offload.k: must be 4 bytes for shape [1, 2], got 3",
        ),
        (
            lambda: offload(dtype="float32"),
            InvalidInput,
            "offload.k: must be the tensor 'k' of float16, got 'k' of 'float32'",
        ),
        (
            lambda: offload(name="q"),
            InvalidInput,
            "offload.k: must be the tensor 'k' of float16, got 'q' of 'float16'",
        ),
        (
            lambda: convert.functional_from_proto(pb.Functional()),
            Unsupported,
            "unknown functional work; this device knows Offload, Attend, ReadBack",
        ),
        (
            lambda: convert.answer_from_proto(pb.FunctionalAnswer()),
            InvalidInput,
            "functional: must be Offloaded, Attended or Returned",
        ),
        (
            lambda: convert.answer_from_proto(pb.FunctionalAnswer(attended=pb.Attended(device=[1]))),
            InvalidInput,
            "attended.device: must be as long as domain and duration_ps",
        ),
        (
            lambda: convert.tensor_to_proto("k", np.zeros(2)),
            InvalidInput,
            "k: must be one of float16, float32, bool, got float64",
        ),
    ],
)
def test_what_is_malformed_is_refused_by_name(
    parse: Callable[[], object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as caught:
        parse()
    assert str(caught.value) == text
