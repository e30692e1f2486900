"""Who attends is said in so many words: no number stands for it."""

from typing import Any

import pytest

from l3sim.errors import InvalidInput
from l3sim.placement import layout_of
from l3sim.specs.catalog import load_machine, load_model
from l3sim.testing.builders import small_hello, small_layout
from l3sim.transport.convert import session as convert
from l3sim.v1 import device_pb2 as pb


def test_who_attends_is_said_on_the_wire() -> None:
    gpus = layout_of(load_machine("gpu-only-dgx-a100").attention, load_model("llama-2-7b"), 1, 1)
    assert gpus.on_gpu
    message = convert.layout_to_proto(gpus)
    assert message.decode == pb.DECODE_PLACEMENT_GPU
    assert convert.layout_from_proto(pb.Layout.FromString(message.SerializeToString())) == gpus


@pytest.mark.parametrize("value", [pb.DECODE_PLACEMENT_UNSPECIFIED, 7])
def test_an_old_peer_that_does_not_say_who_attends_is_refused(value: Any) -> None:
    message = convert.layout_to_proto(small_layout())
    message.decode = value
    with pytest.raises(InvalidInput, match=rf"layout.decode: must say who attends .*, got {value}"):
        convert.layout_from_proto(pb.Layout.FromString(message.SerializeToString()))


def test_gpus_that_attend_assign_no_ranks() -> None:
    message = convert.hello_to_proto(small_hello())
    assert message.slots[0].assignments
    message.layout.decode = pb.DECODE_PLACEMENT_GPU
    with pytest.raises(InvalidInput, match=r"slots\[0\].assignments: the GPUs attend"):
        convert.hello_from_proto(message)
