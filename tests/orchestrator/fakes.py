"""Stand-ins for what the manager of jobs has around it; each lets a test decide what happens, and when."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from l3sim.errors import Cancelled, InvalidInput, L3Error, NotReady
from l3sim.orchestrator.engine.progress import Observer, Progress
from l3sim.work import DeviceDescription, MemoryRegion, Op


@dataclass
class Resolved:
    digest: str
    model: Any = field(default_factory=lambda: SimpleNamespace(name="llama-2-7b"))
    policy: str = "l3"
    workload_name: str = "fixed:1:1"
    warnings: tuple[str, ...] = ()


@dataclass
class Report:
    content: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return self.content


@dataclass
class Result:
    report: Report
    artifacts: Mapping[str, bytes]


def resolve(spec: bytes) -> Resolved:
    """A specification is its own digest; "bad" is refused, "warn" is warned about."""
    if spec == b"bad":
        raise InvalidInput(("spec.workload", "is bad"))
    return Resolved(spec.decode(), warnings=("take care",) if spec == b"warn" else ())


async def turns_until(condition: Callable[[], bool]) -> None:
    """Let everybody else go on until something holds that nobody tells of."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0)


class Engine:
    """Runs jobs as the test says: `begun` tells which started, `end` lets the running one go."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[tuple[str, Observer]] = asyncio.Queue()
        self.runs: list[str] = []
        self._ends: asyncio.Queue[Callable[[], Result]] = asyncio.Queue()

    async def run(self, resolved: Any, observer: Observer, cancel: asyncio.Event) -> Result:
        self.runs.append(resolved.digest)
        self.begun.put_nowait((resolved.digest, observer))
        ending, asked = asyncio.ensure_future(self._ends.get()), asyncio.ensure_future(cancel.wait())
        try:
            await asyncio.wait({ending, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            asked.cancel()
        if ending.done() and not ending.cancelled():
            return ending.result()()
        raise Cancelled("somebody asked")

    def end(self, report: dict[str, Any] | None = None, **artifacts: bytes) -> None:
        result = Result(Report(report or {"schema": "l3.report/1"}), artifacts)
        self._ends.put_nowait(lambda: result)

    def fail(self, error: Exception) -> None:
        def raise_it() -> Result:
            raise error

        self._ends.put_nowait(raise_it)


class Gate:
    """A machine that is complete, or not."""

    def __init__(self) -> None:
        self.missing: L3Error | None = None
        self.rechecks = 0
        self.opened = asyncio.Event()
        self.opened.set()
        self.waiting = asyncio.Event()

    def close(self) -> None:
        self.missing = NotReady("machine m: role gpu needs 1 of kind gpu, present 0; start what is missing")
        self.opened.clear()

    def open(self) -> None:
        self.missing = None
        self.opened.set()

    def check(self) -> None:
        if self.missing is not None:
            raise self.missing

    async def complete(self) -> None:
        self.waiting.set()
        await self.opened.wait()

    async def recheck(self) -> None:
        self.rechecks += 1


def device(
    device_id: str,
    role: str = "attention",
    kind: str = "dimm-pim",
    requested_slot: str = "",
    **changes: Any,
) -> DeviceDescription:
    """A description with small defaults."""
    values: dict[str, Any] = {
        "version": "0.1.0",
        "operations": tuple(Op),
        "domains": ("rank-0",),
        "regions": (MemoryRegion("kv", 1 << 30, 1),),
        "lookahead_rounds": 0,
        "levels": ("roofline",),
        "config_schema_json": "{}",
        "requested_slot": requested_slot,
    }
    return DeviceDescription(device_id, role, kind, **{**values, **changes})


def mini_devices() -> list[tuple[str, DeviceDescription]]:
    """Everybody that l3-mini needs."""
    return [
        ("127.0.0.1:1", device("gpu-0", "gpu", "gpu")),
        ("127.0.0.1:2", device("link-0", "link", "interconnect")),
        *(("127.0.0.1:3", device(f"pim-{number}")) for number in range(4)),
    ]


PROGRESS = Progress(
    virtual_time_ps=2 * 10**12,
    requests_done=1,
    requests_total=3,
    output_tokens_done=10,
    output_tokens_total=30,
    windows=4,
    iterations=9,
    wall_s=0.5,
)
