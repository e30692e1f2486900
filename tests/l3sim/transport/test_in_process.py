"""Strangers in this process: what the wire would refuse is refused here too, in a line that names them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from l3sim.device import Identity
from l3sim.errors import DeviceLost, InvalidInput, InvariantBroken, L3Error
from l3sim.kinds import device_class, made
from l3sim.ports import Device, DevicePort
from l3sim.testing import FakeDevice
from l3sim.testing.builders import small_hello, small_window
from l3sim.transport.convert import rounds
from l3sim.transport.grpc_port import GrpcPort
from l3sim.transport.in_process import InProcessPort, InProcessSource
from l3sim.transport.server import DeviceServer
from l3sim.work import Account, Chunk, Commit, Costs, DeviceReady, KvPlacement, OpCost
from tests.l3sim.conformance.broken import (
    BROKEN,
    GoodDevice,
    GoodSession,
    costing,
    with_costs,
    with_durations,
)

IDENTITIES = (Identity("a", "dimm-00"),)
HELLO = small_hello(("a",), ("dimm-00",))
PREFILL = small_window(1, chunks=[Chunk(0, 10, 0, True)], places=[KvPlacement(0, 1, 0)])
DECODE = small_window(2, decode=[0], context=[10], rounds=8, commits=[Commit(1, 1)])


class Unready(GoodDevice):
    class make(GoodSession):  # noqa: N801
        def ready(self) -> Sequence[DeviceReady]:
            return [replace(one, regions="none") for one in super().ready()]  # type: ignore[arg-type]


class Bookless(GoodDevice):
    class make(GoodSession):  # noqa: N801
        def audit(self) -> Sequence[Account]:
            return [replace(one, rounds=0.5) for one in super().audit()]  # type: ignore[arg-type]


def said(**changes: Any) -> Callable[[Costs, GoodSession], Costs]:
    return lambda costs, _: replace(costs, **changes)


#: How it is refused over either transport, by what the device says.
LIARS: dict[str, tuple[type[GoodDevice], type[L3Error]]] = {
    "float durations": (with_durations(lambda ps: ps / 2.0), InvariantBroken),
    "a list of energies": (
        with_costs(lambda cost: replace(cost, energy_nj=cost.energy_nj.tolist())),
        InvariantBroken,
    ),
    "negative energy": (with_costs(lambda cost: replace(cost, energy_nj=-cost.energy_nj)), DeviceLost),
    "an unknown operation": (with_costs(lambda cost: replace(cost, op="attend")), DeviceLost),
    "half a byte": (costing(said(held_bytes=(0.5, 0.5))), InvariantBroken),
    "nothing": (costing(lambda _costs, _: None), InvariantBroken),  # type: ignore[arg-type, return-value]
    "no regions": (Unready, InvariantBroken),
    "half a round": (Bookless, InvariantBroken),
    **{
        name: (BROKEN[name][1], DeviceLost)
        for name in (
            "takes negative time",
            "says NaN",
            "answers another window",
        )
    },
}


async def session(port: DevicePort) -> None:
    await port.hello(HELLO)
    await port.window(PREFILL)
    await port.window(DECODE)
    await port.audit()


@pytest.mark.parametrize("transport", ["in-process", "grpc"])
@pytest.mark.parametrize("liar", LIARS)
async def test_a_liar_is_refused_over_both_transports(liar: str, transport: str) -> None:
    make, error = LIARS[liar]
    device = make(IDENTITIES)
    async with DeviceServer(device) as server:
        port = InProcessPort(device) if transport == "in-process" else GrpcPort(server.address)
        with pytest.raises(L3Error) as caught:
            await session(port)
        await port.abort()
    assert type(caught.value) is error
    assert "dimm-00" in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_liars_estimates_are_refused() -> None:
    port = InProcessPort(LIARS["float durations"][0](IDENTITIES))
    await port.hello(HELLO)
    with pytest.raises(InvariantBroken, match=r"^dimm-00: .* they must be int64"):
        await port.estimate([small_window(0, decode=[5], context=[99], places=[KvPlacement(5, 0, 0)])])


async def test_ours_are_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(cost: OpCost, valid_rounds: int) -> None:
        raise AssertionError

    monkeypatch.setattr(rounds, "check_form", refuse)
    port = InProcessPort(FakeDevice(IDENTITIES))
    await port.hello(HELLO)
    assert (await port.window(PREFILL)).costs


FAULTY = """
from l3sim.testing.fakes import FakeDevice
class Mine(FakeDevice):
    kind, role = "mine", "attention"
    def {method}(self, *_):
        raise RuntimeError("a bad\\nday")
"""


def faulty(folder: Path, method: str) -> type[Device]:
    file = folder / "mine.py"
    file.write_text(FAULTY.format(method=method))
    found: type[Device] = device_class(str(file))
    return found


def test_a_class_that_cannot_make_its_devices_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        made(faulty(tmp_path, "__init__"), IDENTITIES)
    assert str(caught.value) == (
        f"kind: 'mine' cannot make its devices: {tmp_path}/mine.py: RuntimeError: a bad day (line 6)"
    )


def test_a_device_that_cannot_be_described_is_named(tmp_path: Path) -> None:
    source = InProcessSource({"here": made(faulty(tmp_path, "describe"), IDENTITIES)})
    with pytest.raises(InvalidInput) as caught:
        source.present()
    assert str(caught.value) == (
        f"kind: 'mine' cannot be described: {tmp_path}/mine.py: RuntimeError: a bad day (line 6)"
    )


async def test_a_device_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    port = InProcessPort(made(faulty(tmp_path, "open"), IDENTITIES))
    with pytest.raises(InvariantBroken) as caught:
        await port.hello(HELLO)
    assert str(caught.value) == (
        f"dimm-00: device model failed: {tmp_path}/mine.py: RuntimeError: a bad day (line 6)"
    )
